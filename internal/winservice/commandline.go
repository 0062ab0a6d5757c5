package winservice

import "strings"

// Quote writes arguments as one line that Windows' programs take apart into the
// same arguments. It does on every system what syscall.EscapeArg does on Windows.
// The first argument is always quoted: an unquoted path with a space in it may
// start another program.
func Quote(args ...string) string {
	var line strings.Builder
	for i, arg := range args {
		if i > 0 {
			line.WriteByte(' ')
		}
		if i > 0 && arg != "" && !strings.ContainsAny(arg, " \t\n\v\"") {
			line.WriteString(arg)
			continue
		}
		quoteOne(&line, arg)
	}
	return line.String()
}

// quoteOne doubles the backslashes that stand before a quotation mark, and no
// others.
func quoteOne(line *strings.Builder, arg string) {
	line.WriteByte('"')
	backslashes := 0
	for _, b := range []byte(arg) {
		switch b {
		case '\\':
			backslashes++
		case '"':
			line.WriteString(strings.Repeat(`\`, backslashes+1))
			backslashes = 0
		default:
			backslashes = 0
		}
		line.WriteByte(b)
	}
	line.WriteString(strings.Repeat(`\`, backslashes))
	line.WriteByte('"')
}
