package wmi

import (
	"fmt"
	"strconv"
	"time"
)

// timeLayout is WMI's form of a time, without the minutes by which it is ahead of UTC that stand at its end.
const timeLayout = "20060102150405.000000"

// ParseTime reads a time: 20261121100000.000000+060. It is told in the time zone that the host is in now, so that of one
// moment there are as many texts as zones, and two of them in a year of daylight saving.
func ParseTime(text string) (time.Time, error) {
	if len(text) != len(timeLayout)+4 {
		return time.Time{}, fmt.Errorf("%q is no time of WMI's", text)
	}
	at, err := time.Parse(timeLayout, text[:len(timeLayout)])
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time of WMI's: %w", text, err)
	}
	ahead, err := strconv.Atoi(text[len(timeLayout):])
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time of WMI's: %w", text, err)
	}
	return at.Add(-time.Duration(ahead) * time.Minute), nil
}
