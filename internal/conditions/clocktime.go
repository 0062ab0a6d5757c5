package conditions

import "time"

// ClockTime tells a time in a message, as kubectl does those of objects.
func ClockTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
