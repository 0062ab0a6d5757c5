package bootstrap

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var (
	jinjaTag      = regexp.MustCompile(`\{[{%#]`)
	jinjaVariable = regexp.MustCompile(`^\{\{\s*([^{}]*?)\s*\}\}`)
	plainVariable = regexp.MustCompile(`^[a-z][a-z0-9_.]{0,60}$`)
)

// rendered is the user data as the guest would render it. Only variables are
// known that stand in the seed's own meta-data; what they hold is a UUID and a
// host name, which mean nothing to YAML.
func (in *Input) rendered() ([]byte, error) {
	if !bytes.HasPrefix(in.UserData, []byte(jinjaMark)) {
		return in.UserData, nil
	}
	_, text, _ := strings.Cut(string(in.UserData), "\n")
	if !strings.HasPrefix(text, cloudConfigMark) {
		return nil, errors.New("is a template of something else than a cloud-config")
	}
	variables := map[string]string{}
	for _, of := range []string{"", "v1.", "ds.meta_data."} {
		variables[of+"instance_id"], variables[of+"local_hostname"] = in.Identity.VM, in.Identity.Hostname
	}
	var out strings.Builder
	line := 2
	for {
		tag := jinjaTag.FindStringIndex(text)
		if tag == nil {
			out.WriteString(text)
			return []byte(out.String()), nil
		}
		line += strings.Count(text[:tag[0]], "\n")
		match := jinjaVariable.FindStringSubmatch(text[tag[0]:])
		if match == nil {
			return nil, fmt.Errorf("line %d: of templates only variables are understood for Windows", line)
		}
		name := strings.NewReplacer(`["`, ".", `['`, ".", `"]`, "", `']`, "").Replace(match[1])
		value, ok := variables[name]
		switch {
		case !ok && plainVariable.MatchString(name):
			return nil, fmt.Errorf("line %d: the template's variable %s is not known for Windows", line, name)
		case !ok:
			return nil, fmt.Errorf("line %d: of templates only variables are understood for Windows", line)
		}
		out.WriteString(text[:tag[0]])
		out.WriteString(value)
		text = text[tag[0]+len(match[0]):]
	}
}
