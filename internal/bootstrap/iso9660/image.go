package iso9660

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf16"
)

// sector is the size of everything's unit.
const sector = 2048

// Where things lie, in sectors. Path tables and directories take one each, which
// bounds the number of files.
const (
	primaryAt = 16 + iota
	jolietAt
	terminatorAt
	primaryPathsLittleAt
	primaryPathsBigAt
	jolietPathsLittleAt
	jolietPathsBigAt
	primaryRootAt
	continuationAt
	jolietRootAt
	dataAt
)

// pathTableBytes is the size of a path table with nothing but the root.
const pathTableBytes = 10

// maxLabel is the number of characters that a Joliet volume descriptor has room
// for.
const maxLabel = 16

// maxName keeps a directory record with its Rock Ridge fields within the 255
// bytes that a record may have.
const maxName = 64

// File is a file in the root directory.
type File struct {
	// Name is 1 to 64 letters, digits, dots, dashes and underscores.
	Name    string
	Content []byte
}

// Image returns an image of the files. Equal input gives equal bytes.
func Image(label string, files []File) ([]byte, error) {
	if label == "" || len(label) > maxLabel || !portable(label) {
		return nil, fmt.Errorf("volume label %q is not 1 to %d letters, digits, dots, dashes and underscores", label, maxLabel)
	}
	nodes, sectors, err := layOut(files)
	if err != nil {
		return nil, err
	}
	primary, err := directory(primaryRootAt, primaryRecords(nodes))
	if err != nil {
		return nil, err
	}
	joliet, err := directory(jolietRootAt, jolietRecords(nodes))
	if err != nil {
		return nil, err
	}
	image := make([]byte, int(sectors)*sector)
	at := func(s int) []byte { return image[s*sector:] }
	writeDescriptor(at(primaryAt), descriptor{
		kind: primaryDescriptor, label: ascii(label), system: ascii(""), blank: ' ',
		sectors: sectors, paths: primaryPathsLittleAt, pathsBig: primaryPathsBigAt, root: primaryRootAt,
	})
	writeDescriptor(at(jolietAt), descriptor{
		kind: supplementaryDescriptor, label: ucs2(label), system: ucs2(""), blank: 0, joliet: true,
		sectors: sectors, paths: jolietPathsLittleAt, pathsBig: jolietPathsBigAt, root: jolietRootAt,
	})
	copy(at(terminatorAt), "\xffCD001\x01")
	writePathTables(at(primaryPathsLittleAt), at(primaryPathsBigAt), primaryRootAt)
	writePathTables(at(jolietPathsLittleAt), at(jolietPathsBigAt), jolietRootAt)
	copy(at(primaryRootAt), primary)
	copy(at(continuationAt), rockRidgeReference())
	copy(at(jolietRootAt), joliet)
	for _, n := range nodes {
		copy(at(int(n.at)), n.content)
	}
	return image, nil
}

// node is a file with its place in the image.
type node struct {
	name    string
	primary string
	content []byte
	at      uint32
}

func layOut(files []File) ([]node, uint32, error) {
	nodes := make([]node, 0, len(files))
	next := uint64(dataAt)
	for _, f := range slices.SortedFunc(slices.Values(files), func(a, b File) int { return cmp.Compare(a.Name, b.Name) }) {
		if f.Name == "" || len(f.Name) > maxName || !portable(f.Name) || strings.Trim(f.Name, ".") == "" {
			return nil, 0, fmt.Errorf("file name %q is not 1 to %d letters, digits, dots, dashes and underscores", f.Name, maxName)
		}
		n := node{name: f.Name, primary: primaryName(f.Name), content: f.Content, at: uint32(next)}
		if slices.ContainsFunc(nodes, func(o node) bool { return o.primary == n.primary }) {
			return nil, 0, fmt.Errorf("file name %q is not unique once its case and marks are lost", f.Name)
		}
		next += (uint64(len(f.Content)) + sector - 1) / sector
		if next*sector > math.MaxInt32 {
			return nil, 0, fmt.Errorf("files are larger than 2 GiB together")
		}
		nodes = append(nodes, n)
	}
	return nodes, uint32(next), nil
}

func portable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_')
	})
}

// primaryName is a name in the characters and the length that ISO 9660 level 2
// allows, for systems that know neither extension.
func primaryName(name string) string {
	const longest = 30
	stem, extension, _ := strings.Cut(strings.ToUpper(name), ".")
	clean := func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}
	extension = strings.Map(clean, extension)
	extension = extension[:min(len(extension), 3)]
	stem = strings.Map(clean, stem)
	stem = stem[:min(len(stem), longest-len(extension))]
	return stem + "." + extension + ";1"
}

func ascii(s string) []byte { return []byte(s) }

// ucs2 is big-endian, as Joliet wants it.
func ucs2(s string) []byte {
	var b bytes.Buffer
	for _, u := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(u >> 8))
		b.WriteByte(byte(u))
	}
	return b.Bytes()
}
