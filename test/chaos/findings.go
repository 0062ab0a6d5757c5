package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// class is what kind of thing the auditor has found.
type class string

// Classes of findings.
const (
	// duplicate: something of which there may be one is there twice.
	duplicate class = "duplicate"
	// orphan: something is there that nobody owns.
	orphan class = "orphan"
	// lost: something was taken away that must not be.
	lost class = "lost"
	// silent: something waits and does not say why.
	silent class = "silent"
	// stuck: something did not come to where the user wants it.
	stuck class = "stuck"
	// blind: too little was seen, or happened, for the absence of findings to mean much.
	blind class = "blind"
)

// finding is what the auditor has found.
type finding struct {
	class class
	what  string
}

// findings are all that were found, each once.
type findings struct {
	began time.Time
	// last tells what befell whom last.
	last func() string
	say  func(line string)

	mu    sync.Mutex
	known map[finding]bool
}

func (f *findings) add(found ...finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range found {
		if f.known[one] {
			continue
		}
		f.known[one] = true
		f.say(fmt.Sprintf("FINDING %s: %s (%.1f s after the first fault; last was %s)", one.class, one.what, time.Since(f.began).Seconds(), f.last()))
	}
}

// count is how many there are of a class.
func (f *findings) count(of class) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for one := range f.known {
		if one.class == of {
			n++
		}
	}
	return n
}

// lines are all of them.
func (f *findings) lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []string
	for one := range maps.Keys(f.known) {
		lines = append(lines, string(one.class)+": "+one.what)
	}
	slices.Sort(lines)
	return lines
}
