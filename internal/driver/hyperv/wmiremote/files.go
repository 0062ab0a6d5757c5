package wmiremote

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/hostfs"
)

// files are those of a host.
type files struct{ client *Client }

var _ hostfs.Files = files{}

// Files are the files of the host.
func (c *Client) Files() hostfs.Files { return files{c} }

// onDisk makes a call of the file system's. A host that does not answer has no volumes now.
func onDisk[T any](f files, call string, request fileRequest) (T, error) {
	value, failed, silent := ask[T](context.Background(), f.client, call, request)
	if silent != nil {
		return value, fmt.Errorf("%s: %w: %w", request.Path, hostfs.ErrUnavailable, silent)
	}
	return value, failed
}

// Stat implements hostfs.Files.
func (f files) Stat(path string) (hostfs.Entry, error) {
	return onDisk[hostfs.Entry](f, callStat, fileRequest{Path: path})
}

// List implements hostfs.Files.
func (f files) List(folder string) ([]hostfs.Entry, error) {
	return onDisk[[]hostfs.Entry](f, callList, fileRequest{Path: folder})
}

// Read implements hostfs.Files.
func (f files) Read(path string) ([]byte, error) {
	return onDisk[[]byte](f, callRead, fileRequest{Path: path})
}

// Write implements hostfs.Files.
func (f files) Write(path string, content []byte) error {
	_, err := onDisk[none](f, callWrite, fileRequest{Path: path, Content: content})
	return err
}

// Open implements hostfs.Files.
func (f files) Open(path string) (io.ReadCloser, error) {
	content, err := onDisk[[]byte](f, callOpen, fileRequest{Path: path})
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// Append implements hostfs.Files.
func (f files) Append(path string, offset int64, piece []byte) error {
	_, err := onDisk[none](f, callAppend, fileRequest{Path: path, Offset: offset, Content: piece})
	return err
}

// MakeFolder implements hostfs.Files.
func (f files) MakeFolder(path string) error {
	_, err := onDisk[none](f, callMakeFolder, fileRequest{Path: path})
	return err
}

// Rename implements hostfs.Files.
func (f files) Rename(from, to string) error {
	_, err := onDisk[none](f, callRename, fileRequest{Path: from, To: to})
	return err
}

// Protect implements hostfs.Files.
func (f files) Protect(path string) error {
	_, err := onDisk[none](f, callProtect, fileRequest{Path: path})
	return err
}

// Remove implements hostfs.Files.
func (f files) Remove(path string) error {
	_, err := onDisk[none](f, callRemove, fileRequest{Path: path})
	return err
}

// Sources are where images come from. A driver's are the same.
type Sources interface {
	// Open returns the content of a source from an offset on, and how long all of it is. There being nothing is
	// fs.ErrNotExist.
	Open(ctx context.Context, source string, offset int64) (content io.ReadCloser, total int64, err error)
}

type sources struct{ client *Client }

// Sources are those that the host reaches.
func (c *Client) Sources() Sources { return sources{c} }

// Open implements Sources.
func (s sources) Open(ctx context.Context, source string, offset int64) (io.ReadCloser, int64, error) {
	got, failed, silent := ask[sourceResponse](ctx, s.client, callSource, sourceRequest{source, offset})
	switch {
	case silent != nil && ctx.Err() != nil:
		return nil, 0, ctx.Err()
	case silent != nil:
		return nil, 0, silent
	case failed != nil:
		return nil, 0, failed
	}
	return io.NopCloser(bytes.NewReader(got.Content)), got.Total, nil
}
