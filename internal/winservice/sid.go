package winservice

import (
	"crypto/sha1" //nolint:gosec // Windows makes the identifiers of services so
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// ServiceSID returns the security identifier that Windows derives from a
// service's name, so that folders can be opened to a service before it exists.
func ServiceSID(name string) string {
	var encoded []byte
	for _, unit := range utf16.Encode([]rune(strings.ToUpper(name))) {
		encoded = binary.LittleEndian.AppendUint16(encoded, unit)
	}
	sum := sha1.Sum(encoded) //nolint:gosec // see the import
	sid := "S-1-5-80"
	for i := 0; i < len(sum); i += 4 {
		sid += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(sum[i:]))
	}
	return sid
}
