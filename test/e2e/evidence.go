package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/machinehosts"
)

// evidenceWithin is how long all may take to say what they know.
const evidenceWithin = 2 * time.Minute

// questions are what a person would ask in a guest, by the file that keeps the answer.
func questions() map[string][]string {
	return map[string][]string{
		"journal.txt":      {"journalctl", "--no-pager", "--boot"},
		"units.txt":        {"systemctl", "--no-pager", "--failed"},
		"cloud-init.txt":   {"cloud-init", "status", "--long"},
		"cloud-output.txt": {"cat", "/var/log/cloud-init-output.log"},
		"containers.txt":   {"crictl", "ps", "--all"},
		"sandboxes.txt":    {"crictl", "pods"},
		"pods.tar":         {"tar", "--create", "--warning=no-file-changed", "--file=-", "--directory=/var/log", "pods"},
		"addresses.txt":    {"ip", "address"},
		"balancer.txt":     {"sh", "-c", "tail --lines=+1 /var/lib/capstan-lb/*/*.c*"},
	}
}

// keepEvidence keeps what guests, and both clusters, tell of themselves, and says where.
func (s *story) keepEvidence(ctx context.Context) error {
	if !s.Env.Machines.Held() {
		// What is there is somebody else's.
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, evidenceWithin)
	defer cancel()
	folder := filepath.Join(s.Env.Dir, demoenv.EvidenceDir)
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o700)); err != nil {
		return fmt.Errorf("making the folder of what guests said: %w", err)
	}
	guests, err := s.Env.Machines.Guests()
	if err != nil {
		return err
	}
	called := s.called(ctx)
	var all errgroup.Group
	for _, guest := range guests {
		all.Go(func() error { return ask(ctx, guest, filepath.Join(folder, called(string(guest.ID)))) })
	}
	for file, args := range map[string][]string{
		"objects.yaml": {"get", "capstan,cluster-api", "--all-namespaces", "--output=yaml"},
		"events.txt":   {"get", "events", "--all-namespaces", "--sort-by=.metadata.creationTimestamp"},
		"pods.txt":     {"--kubeconfig", s.Kubeconfig(shop), "get", "nodes,pods", "--all-namespaces", "--output=wide", "--request-timeout=10s"},
	} {
		all.Go(func() error {
			text, err := s.Env.RunKubectl(ctx, args...)
			return keep(filepath.Join(folder, file), text, err)
		})
	}
	s.Screen.Plain("\nWhat the guests said is in %s. It holds the clusters' secrets.", folder)
	return all.Wait()
}

// called returns what VMs are called by their IDs: their names, as far as the
// management cluster tells.
func (s *story) called(ctx context.Context) func(id string) string {
	var vms []capstanv1.VirtualMachine
	if s.API != nil {
		// Without, they are called by their IDs.
		vms, _ = s.vms(ctx)
	}
	return func(id string) string {
		if i := slices.IndexFunc(vms, func(vm capstanv1.VirtualMachine) bool { return vm.Spec.ID == id }); i >= 0 {
			return vms[i].Name
		}
		return id
	}
}

// ask keeps the console of a guest and, if it runs, puts all questions to it.
func ask(ctx context.Context, guest machinehosts.Guest, folder string) error {
	console, err := os.ReadFile(guest.Console)
	problems := []error{keep(filepath.Join(folder, "console.txt"), string(console), err)}
	if guest.Init == 0 {
		return errors.Join(problems...)
	}
	for file, question := range questions() {
		text, err := guest.Run(ctx, question[0], question[1:]...)
		problems = append(problems, keep(filepath.Join(folder, file), text, err))
	}
	return errors.Join(problems...)
}

// keep keeps an answer, and beside it why it is not whole: that one does not answer may
// be what went wrong.
func keep(file, text string, why error) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	if why != nil {
		if err := os.WriteFile(file+".error", []byte(why.Error()+"\n"), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(file, []byte(text), 0o600)
}
