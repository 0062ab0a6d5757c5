package haproxy

import (
	"fmt"
	"regexp"
	"strings"
)

// wordPattern is all that may stand in a configuration file or a command. Nothing
// in it separates words or lines, quotes, comments or expands: lbapi.Validate has
// refused such text before, and this does not rely on it.
var wordPattern = regexp.MustCompile(`^[A-Za-z0-9._:/@\[\]-]{1,512}$`)

// joined returns the words with single spaces between them.
func joined(words ...string) (string, error) {
	for _, w := range words {
		if !wordPattern.MatchString(w) {
			return "", fmt.Errorf("%.80q may not stand in a configuration of HAProxy", w)
		}
	}
	return strings.Join(words, " "), nil
}

// page is a configuration file in the making. The first word that may not stand
// in it spoils it.
type page struct {
	// all is the file; shape is the same without its servers.
	all, shape strings.Builder
	err        error
}

func (p *page) section(words ...string) { p.write("\n", true, words) }

func (p *page) line(words ...string) { p.write("    ", true, words) }

func (p *page) server(words ...string) { p.write("    ", false, words) }

func (p *page) write(before string, shape bool, words []string) {
	text, err := joined(words...)
	if err != nil {
		if p.err == nil {
			p.err = err
		}
		return
	}
	p.all.WriteString(before + text + "\n")
	if shape {
		p.shape.WriteString(before + text + "\n")
	}
}
