package machinectr_test

import (
	"testing"

	"github.com/capstan-k8s/capstan/internal/driver/conformance"
)

func TestDriverConforms(t *testing.T) {
	needsMachine(t)
	conformance.Run(t, func(t *testing.T) conformance.Host {
		t.Helper()
		return newHost(t)
	})
}
