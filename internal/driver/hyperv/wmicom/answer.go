package wmicom

import (
	"errors"
	"fmt"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// Codes with which COM itself answers, around what WMI says.
const (
	codeOK = 0
	// codeFalse is a success: an enumerator says so after its last object.
	codeFalse = 1
	// codeUnknownName says that an object has no property of a name.
	codeUnknownName = 0x80020006
	// codeException says that what went wrong stands inside.
	codeException = 0x80020009
)

// enumerated tells what the answer of an enumerator means: that it gave an object, that it has come to its end, or that
// it failed. By the number of objects alone a failure half-way would be the end, and a VM that exists would be gone.
func enumerated(code uint32, objects uint) (more, failed bool) {
	switch {
	case code != codeOK && code != codeFalse:
		// A time-out is a success to COM.
		return false, true
	case objects == 0:
		return false, false
	default:
		return true, false
	}
}

// hasNone tells whether a code says that an object has no property of a name. A method that returns nothing has no
// ReturnValue; with any other code it has one, which could not be read.
func hasNone(code uint32) bool { return code == codeUnknownName }

// nothing is what go-ole says where COM says nothing.
const nothing = "<nil>"

// spoken makes an error of what COM says: its own code, the code inside of it, 0 for none, and the provider's words.
func spoken(doing string, code, inner uint32, words string) *wmi.Error {
	out := &wmi.Error{Doing: doing, Code: code}
	if inner != 0 {
		out.Code = inner
	}
	if out.Code == codeException {
		out.Code = wmi.CodeFailed
	}
	if words = strings.TrimSpace(words); words != "" && words != nothing {
		out.Err = errors.New(words)
	}
	return out
}

// plain is a value as wmi.Values have it. An object would be released before a caller looked at it.
func plain(value any) (any, error) {
	switch v := value.(type) {
	case nil, bool, string, int8, uint8, int16, uint16, int32, uint32, int64, uint64:
		return v, nil
	case []any:
		for i := range v {
			var err error
			if v[i], err = plain(v[i]); err != nil {
				return nil, err
			}
		}
		return v, nil
	default:
		return nil, fmt.Errorf("a value of type %T is none that is passed on", value)
	}
}
