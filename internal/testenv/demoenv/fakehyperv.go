package demoenv

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// fakeHyperV is a fabric whose hosts speak WMI.
type fakeHyperV struct{ env *Env }

func (f fakeHyperV) describe() string {
	return fmt.Sprintf("%d simulated hosts in a failover cluster, with a fake Hyper-V that the real driver drives by WMI", f.env.Hosts)
}

func (f fakeHyperV) start(ctx context.Context) error { return f.env.startFabric(ctx, "--hyperv") }

func (f fakeHyperV) stop() error { return nil }

func (f fakeHyperV) boot(host string) ([]string, error) {
	return []string{"--driver=hypervfake", "--hypervfake-socket=" + hostSocket(host)}, nil
}

func (f fakeHyperV) leftovers(ctx context.Context) ([]string, error) {
	world, err := f.env.World(ctx)
	if err != nil {
		return nil, err
	}
	return leftInHyperV(world), nil
}

// standing are the folders that the driver keeps on a volume once it was there.
var standing = []string{"capstan", `capstan\images`, `capstan\vms`}

// leftInHyperV is what VMs have left, and what the driver should never have asked for.
func leftInHyperV(world fabricapi.World) []string {
	var found []string
	for _, said := range world.Complaints {
		found = append(found, "a call of the driver that no host could carry out: "+said)
	}
	for _, site := range world.Sites {
		site.Files = slices.DeleteFunc(slices.Clone(site.Files), func(f fabricapi.File) bool {
			return f.Kind == fabricapi.Folder && slices.Contains(standing, f.Path) || recordsImage(site, f)
		})
		found = append(found, leftInSite(site)...)
	}
	return found
}

// recordsImage tells whether a file is the record that lies beside a staged image.
func recordsImage(site fabricapi.Site, f fabricapi.File) bool {
	stem, record := strings.CutSuffix(f.Path, ".json")
	return record && slices.ContainsFunc(site.Files, func(other fabricapi.File) bool {
		return other.Image != nil && other.Volume == f.Volume && other.Path == stem+".vhdx"
	})
}
