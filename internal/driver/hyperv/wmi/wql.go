package wmi

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// WQL is a query in WMI's own language. Whatever a value is, it stays a value. All properties are asked for: an
// instance without its keys has no path.
func (q Query) WQL() string {
	var out strings.Builder
	fmt.Fprintf(&out, "SELECT * FROM %s", q.Class)
	join := " WHERE "
	for _, name := range slices.Sorted(maps.Keys(q.Where)) {
		fmt.Fprintf(&out, "%s%s = %s", join, name, literal(q.Where[name]))
		join = " AND "
	}
	return out.String()
}

var escape = strings.NewReplacer(`\`, `\\`, `'`, `\'`, `"`, `\"`)

func literal(value any) string {
	switch v := value.(type) {
	case bool:
		return strings.ToUpper(fmt.Sprint(v))
	case string:
		// A query ends at a zero, whatever follows.
		return "'" + escape.Replace(strings.ReplaceAll(v, "\x00", "")) + "'"
	default:
		return fmt.Sprint(v)
	}
}
