package hyperv_test

import (
	"testing"

	"github.com/capstan-k8s/capstan/internal/driver/conformance"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmifake"
)

func TestDriverConforms(t *testing.T) {
	var recorder wmifake.Recorder
	t.Run("on a host that stands alone", func(t *testing.T) {
		conformance.Run(t, func(t *testing.T) conformance.Host {
			t.Helper()
			return standAlone{newRecordedHost(t, "", &recorder)}
		})
	})
	t.Run("on a host in a failover cluster", func(t *testing.T) {
		conformance.Run(t, func(t *testing.T) conformance.Host {
			t.Helper()
			return clustered{newRecordedHost(t, "fc1", &recorder)}
		})
	})
	t.Run("by the calls that are documented", func(t *testing.T) { expectDocumented(t, recorder.Calls()) })
}
