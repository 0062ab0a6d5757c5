package seed

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"

	"sigs.k8s.io/yaml"
)

const cloudConfigHeader = "#cloud-config"

// part is one piece of user data.
type part struct {
	contentType string
	mergeType   string
	body        string
}

// readUserData merges all parts into one configuration.
func readUserData(data []byte, vars map[string]string) (Config, []string, error) {
	parts, err := splitUserData(data)
	if err != nil {
		return Config{}, nil, err
	}
	merged := map[string]any{}
	for i, p := range parts {
		if err := mergePart(merged, p, vars); err != nil {
			return Config{}, nil, fmt.Errorf("part %d: %w", i+1, err)
		}
	}
	return decodeConfig(merged)
}

// splitUserData returns the parts of a MIME archive, or the data as its only
// part.
func splitUserData(data []byte) ([]part, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("it is empty")
	}
	head := strings.ToLower(string(data[:min(len(data), 512)]))
	if !strings.HasPrefix(head, "content-type:") && !strings.HasPrefix(head, "mime-version:") {
		return []part{{body: string(data)}}, nil
	}
	msg, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("it is not a MIME message: %w", err)
	}
	contentType, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		return nil, fmt.Errorf("content type of the MIME message: %w", err)
	}
	if contentType != "multipart/mixed" || params["boundary"] == "" {
		return nil, fmt.Errorf("the MIME message is %q, must be multipart/mixed with a boundary", contentType)
	}
	return readParts(multipart.NewReader(msg.Body, params["boundary"]))
}

func readParts(r *multipart.Reader) ([]part, error) {
	var parts []part
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("MIME part %d: %w", len(parts)+1, err)
		}
		contentType, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil {
			return nil, fmt.Errorf("content type of MIME part %d: %w", len(parts)+1, err)
		}
		body, err := decodeBody(p, p.Header.Get("Content-Transfer-Encoding"))
		if err != nil {
			return nil, fmt.Errorf("MIME part %d: %w", len(parts)+1, err)
		}
		mergeType := p.Header.Get("Merge-Type")
		if mergeType == "" {
			mergeType = p.Header.Get("X-Merge-Type")
		}
		parts = append(parts, part{contentType: contentType, mergeType: mergeType, body: string(body)})
	}
	if len(parts) == 0 {
		return nil, errors.New("the MIME message has no parts")
	}
	return parts, nil
}

func decodeBody(r io.Reader, encoding string) ([]byte, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	case "", "7bit", "8bit", "binary":
	default:
		return nil, fmt.Errorf("transfer encoding %q is not known", encoding)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read it: %w", err)
	}
	return b, nil
}

// mergePart renders a part where cloud-init would and merges it into merged.
func mergePart(merged map[string]any, p part, vars map[string]string) error {
	body := p.body
	switch p.contentType {
	case "", "text/plain", "text/x-not-multipart", "text/jinja2":
		if isJinja(body) {
			_, rest, _ := strings.Cut(body, "\n")
			rendered, err := render(rest, vars)
			if err != nil {
				return err
			}
			body = rendered
		} else if p.contentType == "text/jinja2" {
			return fmt.Errorf("its type is text/jinja2, but its first line is not %q", jinjaHeader)
		}
	case "text/cloud-config":
		// The type is taken at its word: no template is looked for inside.
		if isJinja(body) {
			return errors.New("it is a jinja template of type text/cloud-config, which cloud-init does not render; use text/jinja2")
		}
	default:
		return fmt.Errorf("content type %q is not supported", p.contentType)
	}
	first, _, _ := strings.Cut(body, "\n")
	if strings.TrimSpace(first) != cloudConfigHeader {
		return fmt.Errorf("its first line is not %q", cloudConfigHeader)
	}
	next := map[string]any{}
	if err := yaml.Unmarshal([]byte(body), &next); err != nil {
		return fmt.Errorf("it is not a cloud-config: %w", yamlProblem(err))
	}
	m, err := mergerOf(p.mergeType, next)
	if err != nil {
		return err
	}
	m.mergeMap(merged, next)
	return nil
}

// yamlProblem keeps the place and drops the text, which may be a private key.
func yamlProblem(err error) error {
	msg := err.Error()
	if i := strings.Index(msg, "line "); i >= 0 {
		place, _, _ := strings.Cut(msg[i:], ":")
		return fmt.Errorf("YAML %s is wrong", place)
	}
	return errors.New("it is not a YAML map")
}
