package bootstrap

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"mime/multipart"
	"net/textproto"
)

// First lines by which cloud-init tells what text is.
const (
	cloudConfigMark = "#cloud-config"
	jinjaMark       = "## template: jinja"
)

// Types of parts.
const (
	cloudConfigType = "text/cloud-config"
	jinjaType       = "text/jinja2"
)

// mergeType makes our part give way to the user data's: what both have keeps the
// user data's value, except that lists are joined and maps are merged, ours
// first. Ours first means that our commands run before kubeadm, and that a file
// that both write is the user data's in the end.
//
// Without it the later part's top-level keys replace the earlier part's, so
// Cluster API's write_files and runcmd would be gone: DEF_MERGERS in
// cloudinit/handlers/cloud_config.py is dict(replace)+list()+str(). The mergers
// that count are those of the part that is being merged in, which is why ours is
// the last and bears the header: Cluster API's part need not be touched. Vendor
// data is no way out, for there the user data's lists replace ours.
const mergeType = "list(prepend)+dict(no_replace,recurse_list)+str()"

// partType is the type of a part of user data, empty if cloud-init would make
// nothing of it. Inside an archive cloud-init trusts the declared type and looks
// at the text only where that is text/plain or text/x-shellscript
// (cloudinit/user_data.py): a template declared as text/cloud-config would be
// loaded as it is, unrendered. The handler of text/jinja2 renders and then passes
// the result on by its new first line (cloudinit/handlers/jinja_template.py).
func partType(text []byte) string {
	switch {
	case bytes.HasPrefix(text, []byte(jinjaMark)):
		return jinjaType
	case bytes.HasPrefix(text, []byte(cloudConfigMark)):
		return cloudConfigType
	}
	return ""
}

// archive joins the user data and our cloud config. All of it was tried with
// cloud-init 22.4.2 of Debian 12, see testdata/cloudinit.
func archive(userData, ours []byte) ([]byte, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	// The boundary is fixed by the content. The parts are base64, in which it cannot
	// occur.
	if err := w.SetBoundary(fmt.Sprintf("capstan-%x", sha256.Sum256(append(bytes.Clone(userData), ours...)))[:60]); err != nil {
		return nil, fmt.Errorf("set boundary of user data: %w", err)
	}
	// cloud-init takes for an archive what has this header in its first 4 KiB.
	fmt.Fprintf(&b, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=%q\r\n\r\n", w.Boundary())
	for _, part := range []struct {
		name, kind, merge string
		content           []byte
	}{
		{name: "bootstrap", kind: partType(userData), content: userData},
		{name: "capstan", kind: cloudConfigType, merge: mergeType, content: ours},
	} {
		h := textproto.MIMEHeader{
			"Mime-Version": {"1.0"},
			"Content-Type": {part.kind + `; charset="utf-8"`},
			// Python's parser garbles text beyond Latin-1 in any other encoding.
			"Content-Transfer-Encoding": {"base64"},
			"Content-Disposition":       {fmt.Sprintf("attachment; filename=%q", part.name)},
		}
		if part.merge != "" {
			h["Merge-Type"] = []string{part.merge}
		}
		body, err := w.CreatePart(h)
		if err == nil {
			_, err = body.Write(wrapped(part.content))
		}
		if err != nil {
			return nil, fmt.Errorf("write part %s of user data: %w", part.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("close user data: %w", err)
	}
	return b.Bytes(), nil
}

// wrapped is base64 in lines of 76 characters. RFC 2045 6.8.
func wrapped(content []byte) []byte {
	const line = 76
	text := base64.StdEncoding.EncodeToString(content)
	var b bytes.Buffer
	for len(text) > line {
		b.WriteString(text[:line])
		b.WriteString("\r\n")
		text = text[line:]
	}
	b.WriteString(text)
	return b.Bytes()
}
