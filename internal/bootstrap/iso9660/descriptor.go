package iso9660

import "encoding/binary"

// Types of volume descriptors. ECMA-119 8.1.1.
const (
	primaryDescriptor       = 1
	supplementaryDescriptor = 2
)

type descriptor struct {
	kind          byte
	label, system []byte
	// blank fills unused room of text fields.
	blank           byte
	joliet          bool
	sectors         uint32
	paths, pathsBig uint32
	root            uint32
}

// writeDescriptor writes a primary or supplementary volume descriptor. Offsets
// are those of ECMA-119 8.4 less one.
func writeDescriptor(b []byte, d descriptor) {
	b[0] = d.kind
	copy(b[1:], "CD001\x01")
	text := func(from, to int, s []byte) {
		for i := from; i < to; i++ {
			b[i] = d.blank
			// UCS-2 is filled with spaces of two bytes.
			if d.joliet && (i-from)%2 == 1 {
				b[i] = ' '
			}
		}
		copy(b[from:to], s)
	}
	text(8, 40, d.system)
	text(40, 72, d.label)
	putBoth32(b[80:], d.sectors)
	if d.joliet {
		copy(b[88:], "%/E") // UCS-2 level 3
	}
	putBoth16(b[120:], 1) // volumes in the set
	putBoth16(b[124:], 1) // of which this is the first
	putBoth16(b[128:], sector)
	putBoth32(b[132:], pathTableBytes)
	binary.LittleEndian.PutUint32(b[140:], d.paths)
	binary.BigEndian.PutUint32(b[148:], d.pathsBig)
	copy(b[156:], record(selfName, d.root, sector, true, nil))
	for _, field := range [][2]int{{190, 318}, {318, 446}, {446, 574}, {574, 702}, {702, 739}, {739, 776}, {776, 813}} {
		text(field[0], field[1], nil)
	}
	for _, date := range []int{813, 830, 847, 864} { // made, changed, expires, effective
		copy(b[date:], "0000000000000000\x00") // not specified
	}
	b[881] = 1 // version of the structure
}

// writePathTables writes the table with the root directory alone, in both byte
// orders. ECMA-119 9.4.
func writePathTables(little, big []byte, root uint32) {
	for _, t := range []struct {
		b     []byte
		order binary.ByteOrder
	}{{little, binary.LittleEndian}, {big, binary.BigEndian}} {
		t.b[0] = 1 // length of the name, which is a zero byte
		t.order.PutUint32(t.b[2:], root)
		t.order.PutUint16(t.b[6:], 1)
	}
}

// putBoth32 writes a number in little and then in big endian.
func putBoth32(b []byte, n uint32) {
	binary.LittleEndian.PutUint32(b, n)
	binary.BigEndian.PutUint32(b[4:], n)
}

func putBoth16(b []byte, n uint16) {
	binary.LittleEndian.PutUint16(b, n)
	binary.BigEndian.PutUint16(b[2:], n)
}
