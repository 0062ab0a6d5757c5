package placement

import "fmt"

// unit is how an amount is shown to people.
type unit int

const (
	inPieces unit = iota
	inMiB
	inBytes
)

func (u unit) of(n int64) string {
	switch u {
	case inMiB:
		return fmt.Sprintf("%d MiB", n)
	case inBytes:
		return byteString(n)
	default:
		return fmt.Sprint(n)
	}
}

// byteString is exact where the number is a whole one of its unit, so that what
// a user wrote comes back as written.
func byteString(n int64) string {
	const kibi = 1024
	name, size := "bytes", int64(1)
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n < size*kibi {
			break
		}
		name, size = next, size*kibi
	}
	if n%size == 0 {
		return fmt.Sprintf("%d %s", n/size, name)
	}
	return fmt.Sprintf("%.1f %s", float64(n)/float64(size), name)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func hosts(n int) string { return plural(n, "host") }
