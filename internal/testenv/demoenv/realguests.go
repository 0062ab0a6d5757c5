package demoenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/machinehosts"
)

// What real guests boot and run, below the top of the repository.
const (
	imageFolder   = ".cache/image"
	layerFolder   = "images/machinectr/files"
	samplesFolder = "images/machinectr/samples"
	// PodsSample is a manifest of pods for real nodes, which have no registry.
	PodsSample = samplesFolder + "/pods.yaml"
	// podProgram is what they run.
	podProgram = "web"
)

// useMachines has hosts be of machine containers, and writes the manifests of a cluster
// for them.
func (e *Env) useMachines() error {
	image, err := machinehosts.UseImage(filepath.Join(e.Source, imageFolder))
	if err != nil {
		return err
	}
	e.Machines = machinehosts.New(machinehosts.Options{
		Image: image, Dir: e.path("machines"), Layer: filepath.Join(e.Source, layerFolder), Programs: []string{e.binary(podProgram)},
	})
	e.physical = machines{e.Machines, e.Hosts}
	return writeManifests(image, filepath.Join(e.Source, samplesFolder), e.Manifests())
}

// Manifests is the folder of a cluster's manifests for real guests.
func (e *Env) Manifests() string { return e.path("manifests") }

// What the samples have in place of an image.
const unsetSource = "/path/to/node.squashfs"

var unsetChecksum = strings.Repeat("0", 64)

// writeManifests copies manifests in which a VMImage stands for the node image, and
// sets its source and checksum there.
func writeManifests(image machinehosts.Image, from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("making the folder of the manifests: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(from, "*.yaml"))
	if err != nil || len(files) == 0 {
		return errors.Join(fmt.Errorf("there are no manifests in %s", from), err)
	}
	set := strings.NewReplacer(unsetSource, image.Path, unsetChecksum, image.SHA256)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("copying the manifests: %w", err)
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(file)), []byte(set.Replace(string(text))), 0o600); err != nil {
			return fmt.Errorf("copying the manifests: %w", err)
		}
	}
	return nil
}

// machines are hosts of machine containers.
type machines struct {
	*machinehosts.Hosts

	count int
}

func (m machines) describe() string {
	return fmt.Sprintf("%d hosts of machine containers, which stand in for Hyper-V: their guests are real", m.count)
}

func (m machines) start(ctx context.Context) error { return m.Prepare(ctx) }

func (m machines) boot(host string) ([]string, error) { return m.AgentArgs(host), m.Boot(host) }

func (m machines) leftovers(context.Context) ([]string, error) { return m.Leftovers() }

// tearDownWithin is more than guests take to be gone.
const tearDownWithin = time.Minute

func (m machines) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), tearDownWithin)
	defer cancel()
	return m.TearDown(ctx)
}
