package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/machinehosts"
)

// evidenceWithin is how long a guest may take to say what it knows.
const evidenceWithin = time.Minute

// questions are what a person would ask in a guest, by the file that keeps the answer.
func questions() map[string][]string {
	return map[string][]string{
		"journal.txt":      {"journalctl", "--no-pager", "--boot"},
		"units.txt":        {"systemctl", "--no-pager", "--failed"},
		"cloud-init.txt":   {"cloud-init", "status", "--long"},
		"cloud-output.txt": {"cat", "/var/log/cloud-init-output.log"},
		"containers.txt":   {"crictl", "ps", "--all"},
		"sandboxes.txt":    {"crictl", "pods"},
		"pods.tar":         {"tar", "--create", "--file=-", "--directory=/var/log", "pods"},
		"addresses.txt":    {"ip", "address"},
		"haproxy.txt":      {"sh", "-c", "cat /var/lib/capstan-lb/*.json /run/capstan-lb/*.cfg"},
	}
}

// keepEvidence keeps what guests, and both clusters, tell of themselves. It returns the
// folder.
func (s *story) keepEvidence(ctx context.Context) (string, error) {
	folder := filepath.Join(s.Env.Dir, demoenv.EvidenceDir)
	var problems []error
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o700)); err != nil {
		return folder, fmt.Errorf("making the folder of what guests said: %w", err)
	}
	guests, err := s.Env.Machines.Guests()
	problems = append(problems, err)
	called := s.called(ctx)
	for _, guest := range guests {
		problems = append(problems, ask(ctx, guest, filepath.Join(folder, called(string(guest.ID)))))
	}
	for file, args := range map[string][]string{
		"objects.yaml": {"get", "capstan,cluster-api", "--all-namespaces", "--output=yaml"},
		"events.txt":   {"get", "events", "--all-namespaces", "--sort-by=.metadata.creationTimestamp"},
		"pods.txt":     {"--kubeconfig", s.Kubeconfig(shop), "get", "nodes,pods", "--all-namespaces", "--output=wide"},
	} {
		short, cancel := context.WithTimeout(ctx, evidenceWithin)
		text, err := s.Env.RunKubectl(short, args...)
		cancel()
		if err != nil {
			// That one does not answer may be what went wrong.
			text += "\n" + err.Error() + "\n"
		}
		problems = append(problems, keep(filepath.Join(folder, file), []byte(text)))
	}
	return folder, errors.Join(problems...)
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

// ask keeps the console of a guest and, if it runs, puts all questions to it. What it cannot answer is what it answers.
func ask(ctx context.Context, guest machinehosts.Guest, folder string) error {
	ctx, cancel := context.WithTimeout(ctx, evidenceWithin)
	defer cancel()
	console, err := os.ReadFile(guest.Console)
	problems := []error{err, keep(filepath.Join(folder, "console.txt"), console)}
	if guest.Init == 0 {
		return errors.Join(problems...)
	}
	for file, question := range questions() {
		text, err := guest.Run(ctx, question[0], question[1:]...)
		if err != nil {
			text += "\n" + err.Error() + "\n"
		}
		problems = append(problems, keep(filepath.Join(folder, file), []byte(text)))
	}
	return errors.Join(problems...)
}

func keep(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}
