package loadbalancer_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/controllers/loadbalancer"
)

func TestASilentAgentIsAskedLessAndLessOften(t *testing.T) {
	for name, tc := range map[string]struct {
		failures int
		met      bool
		want     time.Duration
	}{
		"while its VM boots":            {failures: 0, want: 500 * time.Millisecond},
		"while its VM boots slowly":     {failures: 59, want: 500 * time.Millisecond},
		"when it should have booted":    {failures: 60, want: time.Second},
		"when it will hardly ever boot": {failures: 1000, want: 10 * time.Second},
		"once after it was known":       {failures: 0, met: true, want: time.Second},
		"thrice after it was known":     {failures: 2, met: true, want: 4 * time.Second},
		"often after it was known":      {failures: 4, met: true, want: 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(loadbalancer.RetryAfter(tc.failures, tc.met)).To(Equal(tc.want))
		})
	}
}
