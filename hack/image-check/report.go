package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// report is what a guest said of itself.
type report map[string][]string

// mark begins the guest's lines on the console, among all that the system says there.
const mark = "image-check: "

// read takes in a line of the console, and says whether it was the last one.
func (r report) read(line string) (last bool) {
	_, said, ours := strings.Cut(line, mark)
	if !ours {
		return false
	}
	what, value, _ := strings.Cut(strings.TrimSpace(said), " ")
	r[what] = append(r[what], strings.TrimSpace(value))
	return what == "end"
}

func (r report) String() string {
	return fmt.Sprintf("%s at %s, containerd %s, %d images preloaded",
		strings.Join(r["name"], " "), strings.Join(r["address"], " "), strings.Join(r["containerd"], " "), len(r["preloaded"]))
}

// expected says what is not as the seed asked for and the image promises, in a boot with
// the seed or without.
func (r report) expected(seeded bool) error {
	wanted := map[string][]string{
		"name": {guestName}, "instance": {guestID}, "address": {guestAddress}, "gateway": {guestGateway},
		"containerd": {"active"}, "crictl": {"answered"}, "swap": {"0"}, "root": {"ext4"}, "grown": {"yes"},
		// No unit of the image may fail, whatever the seed makes of the guest.
		"failed": {""},
		// Without a seed there is nothing that cloud-init could have filled in.
		"template": nil,
	}
	if seeded {
		wanted["template"] = []string{guestID}
	}
	var errs []error
	for what, want := range wanted {
		if got := r[what]; !slices.Equal(got, want) {
			errs = append(errs, fmt.Errorf("%s is %q, not %q", what, got, want))
		}
	}
	if !slices.ContainsFunc(r["preloaded"], func(image string) bool { return strings.HasPrefix(image, guestPauseTag) }) {
		errs = append(errs, errors.New("no pause image is preloaded"))
	}
	return errors.Join(errs...)
}

// same says whether a guest is still who it was.
func (r report) same(before report) error {
	if !slices.Equal(r["sshkey"], before["sshkey"]) {
		return errors.New("the guest has another SSH host key since its seed is gone: cloud-init took it for a new machine")
	}
	return nil
}
