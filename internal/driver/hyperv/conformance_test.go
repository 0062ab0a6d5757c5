package hyperv_test

import (
	"testing"

	"github.com/capstan-k8s/capstan/internal/driver/conformance"
)

func TestDriverOfAStandAloneHostConforms(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Host {
		t.Helper()
		return standAlone{newHost(t, "")}
	})
}

func TestDriverOfAHostInAFailoverClusterConforms(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Host {
		t.Helper()
		return clustered{newHost(t, "fc1")}
	})
}
