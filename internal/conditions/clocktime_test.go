package conditions_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/conditions"
)

func TestATimeIsToldInUTCWhereverTheManagerRuns(t *testing.T) {
	g := NewWithT(t)
	there := time.FixedZone("there", -5*60*60)
	g.Expect(conditions.ClockTime(time.Date(2026, 1, 1, 20, 30, 1, 999, there))).To(Equal("2026-01-02T01:30:01Z"))
}
