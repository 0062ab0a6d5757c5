package seed

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// defaultMerge is cloud-init's way for cloud-config parts without a merge type:
// a key that comes again replaces what was there. A second part with its own
// write_files or runcmd therefore takes away those of the first.
const defaultMerge = "dict(replace)+list()+str()"

// merger merges one part into those before it, by cloud-init's rules.
type merger struct {
	dict, list, str []string
}

var mergeTerm = regexp.MustCompile(`^(dict|list|str)\(([a-z_,]*)\)$`)

// mergerOf returns how a part wants to be merged: by its own merge_how or
// merge_type, else by the header of its MIME part, else by default. The keys are
// taken out of the part.
func mergerOf(header string, cfg map[string]any) (merger, error) {
	var how any = defaultMerge
	if header != "" {
		how = header
	}
	for _, key := range []string{"merge_how", "merge_type"} {
		if v, ok := cfg[key]; ok {
			how = v
			delete(cfg, key)
		}
	}
	switch v := how.(type) {
	case string:
		return parseMerger(strings.Split(strings.ReplaceAll(v, " ", ""), "+"))
	case []any:
		terms := make([]string, 0, len(v))
		for _, t := range v {
			m, ok := t.(map[string]any)
			if !ok {
				return merger{}, errors.New("merge_how is a list of something else than maps")
			}
			var settings []string
			list, _ := m["settings"].([]any)
			for _, s := range list {
				settings = append(settings, fmt.Sprint(s))
			}
			terms = append(terms, fmt.Sprintf("%v(%s)", m["name"], strings.Join(settings, ",")))
		}
		return parseMerger(terms)
	default:
		return merger{}, errors.New("merge_how is neither a text nor a list")
	}
}

func parseMerger(terms []string) (merger, error) {
	var m merger
	for _, t := range terms {
		match := mergeTerm.FindStringSubmatch(t)
		if match == nil {
			return merger{}, fmt.Errorf("merge type %q is not understood", t)
		}
		options := strings.Split(match[2], ",")
		switch match[1] {
		case "dict":
			m.dict = options
		case "list":
			m.list = options
		case "str":
			m.str = options
		}
	}
	return m, nil
}

func (m merger) mergeMap(into, from map[string]any) {
	for k, v := range from {
		old, ok := into[k]
		if !ok {
			into[k] = v
			continue
		}
		into[k] = m.mergeValue(old, v)
	}
}

func (m merger) mergeValue(old, v any) any {
	if slices.Contains(m.dict, "replace") {
		return v
	}
	switch o := old.(type) {
	case []any:
		if n, ok := v.([]any); ok && (slices.Contains(m.dict, "recurse_array") || slices.Contains(m.dict, "recurse_list")) {
			return m.mergeList(o, n)
		}
	case map[string]any:
		if n, ok := v.(map[string]any); ok && slices.Contains(m.dict, "recurse_dict") {
			m.mergeMap(o, n)
			return o
		}
	case string:
		if n, ok := v.(string); ok && slices.Contains(m.dict, "recurse_str") {
			if slices.Contains(m.str, "append") {
				return o + n
			}
		}
	}
	return old
}

func (m merger) mergeList(old, v []any) []any {
	switch {
	case slices.Contains(m.list, "append"):
		return append(slices.Clone(old), v...)
	case slices.Contains(m.list, "prepend"):
		return append(slices.Clone(v), old...)
	case slices.Contains(m.list, "no_replace"):
		if len(v) <= len(old) {
			return old
		}
		return append(slices.Clone(old), v[len(old):]...)
	default:
		merged := slices.Clone(old)
		for i := range v {
			if i < len(merged) {
				merged[i] = v[i]
				continue
			}
			break
		}
		return merged
	}
}
