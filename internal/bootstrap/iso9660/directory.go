package iso9660

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
)

// Names of a directory itself and of its parent.
var (
	selfName   = []byte{0}
	parentName = []byte{1}
)

// recordTime is 1 January 1980, UTC: the image says nothing of when it was made.
var recordTime = []byte{80, 1, 1, 0, 0, 0, 0}

// record is a directory record. ECMA-119 9.1.
func record(name []byte, at, size uint32, isDirectory bool, systemUse []byte) []byte {
	const fixed = 33
	length := fixed + len(name)
	length += length % 2
	b := make([]byte, length, length+len(systemUse)+1)
	putBoth32(b[2:], at)
	putBoth32(b[10:], size)
	copy(b[18:], recordTime)
	if isDirectory {
		b[25] = 2
	}
	putBoth16(b[28:], 1)
	b[32] = byte(len(name))
	copy(b[fixed:], name)
	b = append(b, systemUse...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	b[0] = byte(len(b))
	return b
}

// entry is a file's directory record with the name that it is sorted by.
type entry struct {
	name   []byte
	record []byte
}

func primaryRecords(nodes []node) []entry {
	entries := make([]entry, 0, len(nodes))
	for _, n := range nodes {
		use := append(posixAttributes(false), alternateName(n.name)...)
		entries = append(entries, entry{
			ascii(n.primary), record(ascii(n.primary), n.at, uint32(len(n.content)), false, use),
		})
	}
	return entries
}

func jolietRecords(nodes []node) []entry {
	entries := make([]entry, 0, len(nodes))
	for _, n := range nodes {
		name := ucs2(n.name)
		entries = append(entries, entry{name, record(name, n.at, uint32(len(n.content)), false, nil)})
	}
	return entries
}

// directory is the root directory, which is its own parent.
func directory(at uint32, entries []entry) ([]byte, error) {
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(string(a.name), string(b.name)) })
	var b bytes.Buffer
	if at == primaryRootAt {
		use := append(sharingProtocol(), posixAttributes(true)...)
		b.Write(record(selfName, at, sector, true, append(use, continuation()...)))
		b.Write(record(parentName, at, sector, true, posixAttributes(true)))
	} else {
		b.Write(record(selfName, at, sector, true, nil))
		b.Write(record(parentName, at, sector, true, nil))
	}
	for _, e := range entries {
		b.Write(e.record)
	}
	if b.Len() > sector {
		return nil, fmt.Errorf("%d files do not fit in one directory", len(entries))
	}
	return b.Bytes(), nil
}
