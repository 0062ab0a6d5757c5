package conditions

import "fmt"

// Counted tells in a message how many there are, such as "1 node" or "2 nodes".
func Counted[N int | int32](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
