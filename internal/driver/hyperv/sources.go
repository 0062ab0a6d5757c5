package hyperv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// NetworkSources are shares, which the account of the agent must be able to read, and servers of HTTPS.
type NetworkSources struct {
	// Client asks the servers.
	Client *http.Client
}

// Open implements Sources.
func (n NetworkSources) Open(ctx context.Context, source string, offset int64) (io.ReadCloser, int64, error) {
	switch {
	case strings.HasPrefix(source, "https://"):
		return n.openURL(ctx, source, offset)
	case strings.HasPrefix(source, `\\`) && !strings.HasPrefix(source, `\\.\`) && !strings.HasPrefix(source, `\\?\`):
		return openShare(source, offset)
	default:
		// A path of the host's own would have the agent read whatever it may.
		return nil, 0, hostapi.Errorf(hostapi.InvalidArgument, opStage, source, "%q is neither a share nor an https URL", source)
	}
}

func openShare(path string, offset int64) (io.ReadCloser, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

func (n NetworkSources) openURL(ctx context.Context, url string, offset int64) (io.ReadCloser, int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, hostapi.Errorf(hostapi.InvalidArgument, opStage, url, "%q is no URL: %w", url, err)
	}
	if offset > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	response, err := n.Client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	content, total, err := continued(response, offset)
	if err != nil {
		return nil, 0, errors.Join(err, response.Body.Close())
	}
	return content, total, nil
}

// continued is what a server answers from an offset on. One that knows no ranges sends all of it again.
func continued(r *http.Response, offset int64) (io.ReadCloser, int64, error) {
	switch r.StatusCode {
	case http.StatusOK:
		if r.ContentLength < 0 {
			return nil, 0, errors.New("the server does not say how long the image is")
		}
		if _, err := io.CopyN(io.Discard, r.Body, min(offset, r.ContentLength)); err != nil {
			return nil, 0, err
		}
		return r.Body, r.ContentLength, nil
	case http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		span, length, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Content-Range"), "bytes "), "/")
		total, err := strconv.ParseInt(length, 10, 64)
		if err != nil || total < 0 {
			return nil, 0, fmt.Errorf("the server answers with the range %q", r.Header.Get("Content-Range"))
		}
		if r.StatusCode == http.StatusRequestedRangeNotSatisfiable {
			return readCloser{strings.NewReader(""), r.Body}, total, nil
		}
		if first, _, _ := strings.Cut(span, "-"); first != strconv.FormatInt(offset, 10) {
			return nil, 0, fmt.Errorf("the server answers with the range %q, and %d was asked for", r.Header.Get("Content-Range"), offset)
		}
		return r.Body, total, nil
	case http.StatusNotFound, http.StatusGone:
		return nil, 0, fmt.Errorf("the server answers %s: %w", r.Status, fs.ErrNotExist)
	default:
		return nil, 0, fmt.Errorf("the server answers %s", r.Status)
	}
}

type readCloser struct {
	io.Reader
	io.Closer
}
