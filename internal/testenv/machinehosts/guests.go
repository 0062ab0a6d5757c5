package machinehosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"

	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
)

// Guest is a machine container, of which a VM's host has at least the console.
type Guest struct {
	machinectr.Guest

	// Host is the host that has it.
	Host string
}

// Guests are all there are, whatever their hosts' agents say. The first process of one
// that runs no more is 0.
func (h *Hosts) Guests() ([]Guest, error) {
	var all []Guest
	err := h.each(func(host string, o *machinectr.Observer) error {
		guests, err := o.Guests()
		for _, guest := range guests {
			all = append(all, Guest{Guest: guest, Host: host})
		}
		return err
	})
	return all, err
}

// Guest is the one that runs of a VM.
func (h *Hosts) Guest(id string) (Guest, error) {
	guests, err := h.Guests()
	if err != nil {
		return Guest{}, err
	}
	if i := slices.IndexFunc(guests, func(g Guest) bool { return string(g.ID) == id && g.Init > 0 }); i >= 0 {
		return guests[i], nil
	}
	return Guest{}, fmt.Errorf("no guest runs of VM %s", id)
}

// Leftovers tells what hosts have of VMs: claims, configurations, disks, seeds, guests.
// Images that were staged may stay.
func (h *Hosts) Leftovers() ([]string, error) {
	var all []string
	err := h.each(func(host string, o *machinectr.Observer) error {
		left, err := o.Leftovers()
		for _, what := range left {
			all = append(all, what+" on host "+host)
		}
		return err
	})
	slices.Sort(all)
	return all, err
}

// each looks at each host that has been booted.
func (h *Hosts) each(look func(host string, o *machinectr.Observer) error) error {
	hosts, err := h.known()
	if err != nil {
		return err
	}
	for _, host := range hosts {
		observer, err := machinectr.Observe(h.DriverOptions(host))
		if err == nil {
			err = look(host, observer)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Run runs a program in the guest, as its root would, and returns what it prints. An
// error does not tell the arguments, which may hold a token.
func (g Guest) Run(ctx context.Context, program string, args ...string) (string, error) {
	command := append([]string{"-t", strconv.Itoa(g.Init), "-a", "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", program}, args...)
	var said, complained bytes.Buffer
	cmd := exec.CommandContext(ctx, "nsenter", command...)
	cmd.Stdout, cmd.Stderr = &said, &complained
	if err := cmd.Run(); err != nil {
		return said.String(), errors.Join(fmt.Errorf("running %s in the guest of VM %s: %w", program, g.ID, err), lastOf(complained.Bytes()))
	}
	return said.String(), nil
}

// longestComplaint is how much of what a program complains of is told.
const longestComplaint = 2 << 10

func lastOf(text []byte) error {
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return nil
	}
	return errors.New(string(text[max(0, len(text)-longestComplaint):]))
}
