package wmi

import (
	"math"
	"strconv"
)

// String returns a property that is a string, "" if it is not set.
func (i Instance) String(property string) string { return i.Values.String(property) }

// Strings returns a property that is a list of strings.
func (i Instance) Strings(property string) []string { return i.Values.Strings(property) }

// Number returns a property that is a whole number of any size, 0 if it is not set.
func (i Instance) Number(property string) int64 { return i.Values.Number(property) }

// Bool returns a property that is true or false.
func (i Instance) Bool(property string) bool { return i.Values.Bool(property) }

// String returns a value that is a string, "" if it is not set.
func (v Values) String(name string) string {
	text, _ := v[name].(string)
	return text
}

// Strings returns a value that is a list of strings.
func (v Values) Strings(name string) []string {
	var out []string
	list, _ := v[name].([]any)
	for _, element := range list {
		if text, ok := element.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// Bool returns a value that is true or false.
func (v Values) Bool(name string) bool {
	is, _ := v[name].(bool)
	return is
}

// Number returns a value that is a whole number of any size, 0 if it is not set. What WMI has as unsigned, COM
// gives as signed: a negative int32 is a large uint32.
func (v Values) Number(name string) int64 { return number(v[name]) }

// Numbers returns a value that is a list of whole numbers.
func (v Values) Numbers(name string) []int64 {
	var out []int64
	list, _ := v[name].([]any)
	for _, element := range list {
		out = append(out, number(element))
	}
	return out
}

func number(value any) int64 {
	switch n := value.(type) {
	case int8:
		return int64(uint8(n))
	case uint8:
		return int64(n)
	case int16:
		return int64(uint16(n))
	case uint16:
		return int64(n)
	case int32:
		return int64(uint32(n))
	case uint32:
		return int64(n)
	case int64:
		return n
	case uint64:
		return int64(min(n, math.MaxInt64))
	case string:
		whole, err := strconv.ParseUint(n, 10, 64)
		if err != nil {
			return 0
		}
		return int64(min(whole, math.MaxInt64))
	default:
		return 0
	}
}

// Number64 is a 64-bit number as WMI takes it.
func Number64(n int64) string { return strconv.FormatInt(n, 10) }
