package story

import (
	"testing"

	"github.com/capstan-k8s/capstan/internal/testenv/fullstack"
)

var options = fullstack.AddFlags(".story")

const (
	hosts        = 3
	manifests    = "testdata"
	shopManifest = "shop.yaml"
)

// world is the environment of the story.
type world struct{ *fullstack.World }

func startWorld(t *testing.T) *world {
	t.Helper()
	o := *options
	o.Manifests, o.Hosts, o.Patience = manifests, hosts, patience
	return &world{fullstack.Start(t, o)}
}
