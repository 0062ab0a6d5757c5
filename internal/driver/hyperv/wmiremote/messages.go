package wmiremote

import (
	"bytes"
	"encoding/gob"
	"fmt"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// Names of calls. They are paths below the socket.
const (
	callQuery   = "Query"
	callGet     = "Get"
	callRelated = "Related"
	callText    = "Text"
	callPut     = "Put"
	callCall    = "Call"

	callStat       = "Stat"
	callList       = "List"
	callRead       = "Read"
	callWrite      = "Write"
	callOpen       = "Open"
	callAppend     = "Append"
	callMakeFolder = "MakeFolder"
	callRename     = "Rename"
	callProtect    = "Protect"
	callRemove     = "Remove"

	callSource = "Source"
)

// Requests to the WMI of a node, "" for the host's own.
type (
	queryRequest struct {
		Node  string
		Query wmi.Query
	}
	getRequest struct {
		Node, Path string
		Properties []string
	}
	relatedRequest struct {
		Node, Path  string
		Association wmi.Association
	}
	textRequest struct {
		Node  string
		Draft wmi.Draft
	}
	putRequest struct {
		Node, Path string
		Set        wmi.Values
	}
	callRequest struct {
		Node, Path, Method string
		In                 wmi.Values
		Out                []string
	}
)

// fileRequest is about a file.
type fileRequest struct {
	Path, To string
	Offset   int64
	Content  []byte
}

type sourceRequest struct {
	Source string
	Offset int64
}

type sourceResponse struct {
	Content []byte
	Total   int64
}

// none is the response of what only succeeds or fails.
type none struct{}

// response is a value, or a failure.
type response[T any] struct {
	Value   T
	Failure *failure
}

// encode keeps the types of values, which is why it is not JSON.
func encode(message any) ([]byte, error) {
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(message); err != nil {
		return nil, fmt.Errorf("encode %T: %w", message, err)
	}
	return out.Bytes(), nil
}

func decode(data []byte, message any) error {
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(message); err != nil {
		return fmt.Errorf("decode %T: %w", message, err)
	}
	return nil
}

// Lists are the only values whose type an encoder does not know by itself.
func init() { gob.Register([]any{}) } //nolint:gochecknoinits // that is how types are made known
