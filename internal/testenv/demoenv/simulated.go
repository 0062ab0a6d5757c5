package demoenv

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// fabricDir is relative to the environment's folder, in which the processes run:
// the paths of sockets must be short.
const fabricDir = "fabric"

// simulated is the fabric.
type simulated struct{ env *Env }

func (s simulated) describe() string {
	return fmt.Sprintf("%d simulated Hyper-V hosts in a failover cluster", s.env.Hosts)
}

func (s simulated) start(ctx context.Context) error { return s.env.startFabric(ctx) }

func (s simulated) stop() error { return nil }

// startFabric starts the simulated physical world, at first or again.
func (e *Env) startFabric(ctx context.Context, more ...string) error {
	var err error
	args := []string{"--dir=" + fabricDir, fmt.Sprintf("--hosts=%d", e.Hosts), "--boot-time=" + e.BootTime.String()}
	if e.FailoverDelay > 0 {
		args = append(args, "--failover-delay="+e.FailoverDelay.String())
	}
	if e.Fabric, err = e.run("fabric", e.binary("fabric"), append(args, more...)...); err != nil {
		return err
	}
	err = wait.PollUntilContextCancel(ctx, answerInterval, true, func(ctx context.Context) (bool, error) {
		if _, err := e.World(ctx); err != nil {
			return false, e.failure()
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("waiting until the fabric answers: %w", err)
	}
	return nil
}

// World is all there is in the fabric.
func (e *Env) World(ctx context.Context) (fabricapi.World, error) { return e.Admin.World(ctx) }

func (e *Env) adminSocket() string {
	socket := filepath.Join(e.path(fabricDir), "admin.sock")
	if working, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(working, socket); err == nil && len(relative) < len(socket) {
			return relative
		}
	}
	return socket
}

func (s simulated) boot(host string) ([]string, error) {
	return []string{"--driver=simulated", "--fabric-socket=" + hostSocket(host)}, nil
}

func hostSocket(host string) string { return filepath.Join(fabricDir, "hosts", host+".sock") }

func (s simulated) leftovers(ctx context.Context) ([]string, error) {
	world, err := s.env.World(ctx)
	if err != nil {
		return nil, err
	}
	return leftInWorld(world), nil
}

func leftInWorld(world fabricapi.World) []string {
	var found []string
	for _, site := range world.Sites {
		found = append(found, leftInSite(site)...)
	}
	return found
}

func leftInSite(site fabricapi.Site) []string {
	var found []string
	for _, vm := range site.VMs {
		found = append(found, fmt.Sprintf("VM %s (%s) on host %s in %s, %s", vm.Name, vm.GUID, vm.Host, site.Name, vm.State))
	}
	for _, file := range site.Files {
		if file.Image == nil || file.FileBytes < file.Image.TotalBytes {
			found = append(found, fmt.Sprintf("%s %s on volume %s of %s, %s", file.Kind, file.Path, file.Volume, site.Name, file.Label))
		}
	}
	for _, role := range site.Roles {
		found = append(found, fmt.Sprintf("claim %s in %s", role.Name, site.Name))
	}
	return found
}
