package iso9660

// The text by which Rock Ridge makes itself known, word for word. RRIP 4.3.
const (
	rockRidgeID          = "RRIP_1991A"
	rockRidgeDescription = "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
	rockRidgeSource      = "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR FOR CONTACT INFORMATION."
)

// POSIX modes: root alone may read, for a seed holds secrets.
const (
	directoryMode = 0o040500
	fileMode      = 0o100400
)

// sharingProtocol marks the root directory as bearing system use fields. SUSP 5.3.
func sharingProtocol() []byte { return []byte{'S', 'P', 7, 1, 0xbe, 0xef, 0} }

// continuation points to rockRidgeReference, which is too long for a directory
// record. SUSP 5.1.
func continuation() []byte {
	b := make([]byte, 28)
	copy(b, "CE\x1c\x01")
	putBoth32(b[4:], continuationAt)
	putBoth32(b[12:], 0)
	putBoth32(b[20:], uint32(len(rockRidgeReference())))
	return b
}

// rockRidgeReference tells which extension the fields belong to; without it Linux
// ignores them. SUSP 5.5.
func rockRidgeReference() []byte {
	b := []byte{
		'E', 'R', 0, 1,
		byte(len(rockRidgeID)), byte(len(rockRidgeDescription)), byte(len(rockRidgeSource)), 1,
	}
	b = append(b, rockRidgeID+rockRidgeDescription+rockRidgeSource...)
	b[2] = byte(len(b))
	return b
}

// posixAttributes are mode, links, user and group. RRIP 4.1.1.
func posixAttributes(isDirectory bool) []byte {
	b := make([]byte, 36)
	copy(b, "PX\x24\x01")
	mode, links := uint32(fileMode), uint32(1)
	if isDirectory {
		mode, links = directoryMode, 2
	}
	putBoth32(b[4:], mode)
	putBoth32(b[12:], links)
	return b
}

// alternateName is the name as it was given. RRIP 4.1.4.
func alternateName(name string) []byte {
	return append([]byte{'N', 'M', byte(5 + len(name)), 1, 0}, name...)
}
