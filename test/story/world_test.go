package story

import (
	"flag"
	"testing"

	"github.com/capstan-k8s/capstan/internal/testenv/fullstack"
)

// The top of the repository, seen from here.
const top = "../.."

var (
	dir      = flag.String("dir", top+"/.story", "`folder` of all that runs; it stays until the next run")
	binaries = flag.String("bin", top+"/bin", "`folder` of the programs of make build")
)

const (
	hosts        = 3
	manifests    = "testdata"
	shopManifest = "shop.yaml"
)

// world is the environment of the story.
type world struct{ *fullstack.World }

func startWorld(t *testing.T) *world {
	t.Helper()
	return &world{fullstack.Start(t, fullstack.Options{
		Dir: *dir, Top: top, Binaries: *binaries, Manifests: manifests, Hosts: hosts, Patience: patience,
	})}
}
