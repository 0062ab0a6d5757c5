package iso9660

import (
	"encoding/binary"
	"errors"
)

// Where times stand. Source: ECMA-119, sections 8.4 and 9.1.
const (
	firstDescriptor     = 16
	primaryDescriptor   = 1
	jolietDescriptor    = 2
	lastDescriptor      = 255
	labelAt             = 40
	labelBytes          = 32
	rootRecordAt        = 156
	descriptorTimesAt   = 813
	descriptorTimes     = 4
	descriptorTimeBytes = 17
	recordTimeAt        = 18
	recordTimeBytes     = 7
	recordNameLengthAt  = 32
	recordNameAt        = 33
)

// errBroken says that an image is not what the library was asked for.
var errBroken = errors.New("the image that was written cannot be read back")

// normalize replaces every time in an image by "not specified", and pads the
// volume label with spaces, as the standard has it, where the library leaves
// zeros.
func normalize(image []byte) error {
	for at := firstDescriptor * sector; at+sector <= len(image); at += sector {
		descriptor := image[at : at+sector]
		switch descriptor[0] {
		case lastDescriptor:
			return nil
		case primaryDescriptor, jolietDescriptor:
			padLabel(descriptor[labelAt:labelAt+labelBytes], descriptor[0] == jolietDescriptor)
			for i := range descriptorTimes {
				blankLongTime(descriptor[descriptorTimesAt+i*descriptorTimeBytes:][:descriptorTimeBytes])
			}
			root := descriptor[rootRecordAt:]
			blankRecord(root[:root[0]])
			if err := blankDirectory(image, root); err != nil {
				return err
			}
		}
	}
	return errBroken
}

// padLabel pads a label, which in Joliet is big-endian UCS-2.
func padLabel(label []byte, wide bool) {
	step := 1
	if wide {
		step = 2
	}
	for at := 0; at+step <= len(label); at += step {
		if last := at + step - 1; label[at] == 0 && label[last] == 0 {
			label[last] = ' '
		}
	}
}

// blankLongTime writes sixteen zero digits and a zero offset.
func blankLongTime(t []byte) {
	for i := range t[:descriptorTimeBytes-1] {
		t[i] = '0'
	}
	t[descriptorTimeBytes-1] = 0
}

func blankDirectory(image, record []byte) error {
	start := int(binary.LittleEndian.Uint32(record[2:])) * sector
	end := start + int(binary.LittleEndian.Uint32(record[10:]))
	if start < 0 || end > len(image) || start > end {
		return errBroken
	}
	for at := start; at < end; {
		length := int(image[at])
		if length == 0 {
			// Records do not cross sectors: the rest of this one is empty.
			at += sector - at%sector
			continue
		}
		if at+length > end || length <= recordNameAt {
			return errBroken
		}
		blankRecord(image[at : at+length])
		at += length
	}
	return nil
}

// blankRecord blanks the time of a directory record, and those in the Rock Ridge
// entry TF behind its name.
// Source: Rock Ridge Interchange Protocol, section 4.1.6.
func blankRecord(record []byte) {
	clear(record[recordTimeAt : recordTimeAt+recordTimeBytes])
	name := int(record[recordNameLengthAt])
	// The name is padded to an even length, counted with its own length byte.
	at := recordNameAt + name + 1 - name%2
	for at+4 <= len(record) {
		length := int(record[at+2])
		if length < 4 || at+length > len(record) {
			return
		}
		if record[at] == 'T' && record[at+1] == 'F' && length > 5 {
			clear(record[at+5 : at+length])
		}
		at += length
	}
}
