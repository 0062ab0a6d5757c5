package lbapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/proto"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// statusOf has n backends, which are up but for those that are said to be otherwise.
func statusOf(n int, otherwise map[int]lbapi.Health) lbapi.Status {
	s := lbapi.Status{Name: "lb-0"}
	for i := range n {
		health := lbapi.HealthUp
		if other, ok := otherwise[i]; ok {
			health = other
		}
		s.Backends = append(s.Backends, lbapi.BackendStatus{Frontend: "web", Backend: fmt.Sprint(i), Health: health})
	}
	return s
}

func TestAStatusOfFewBackendsTellsAll(t *testing.T) {
	s := statusOf(lbapi.MaxBackendsTold, map[int]lbapi.Health{7: lbapi.HealthDown})
	NewWithT(t).Expect(s.WithFewBackends()).To(Equal(s))
}

func TestAStatusOfManyBackendsTellsTheWorst(t *testing.T) {
	g := NewWithT(t)
	const all = 3 * lbapi.MaxBackendsTold
	s := statusOf(all, map[int]lbapi.Health{all - 1: lbapi.HealthDown, all - 3: "Odd", all - 2: lbapi.HealthUnknown})
	before := slices.Clone(s.Backends)
	few := s.WithFewBackends()
	g.Expect(few.Backends).To(HaveLen(lbapi.MaxBackendsTold))
	g.Expect(few.BackendsLeftOut).To(BeEquivalentTo(all - lbapi.MaxBackendsTold))
	g.Expect(few.Backends[lbapi.MaxBackendsTold-3:]).To(Equal(s.Backends[all-3:]), "in the order of the plan")
	g.Expect(few.Backends[:lbapi.MaxBackendsTold-3]).To(HaveEach(HaveField("Health", lbapi.HealthUp)))
	g.Expect(s.Backends).To(Equal(before))
	g.Expect(few.WithFewBackends()).To(Equal(few))

	down := map[int]lbapi.Health{}
	for i := range all {
		down[i] = []lbapi.Health{lbapi.HealthUp, lbapi.HealthUnknown, lbapi.HealthDown}[i%3]
	}
	g.Expect(statusOf(all, down).WithFewBackends().Backends).To(HaveEach(HaveField("Health", lbapi.HealthDown)))
}

func TestAStatusIsSmallWhateverThePlan(t *testing.T) {
	s := statusOf(4*lbapi.MaxBackendsTold, nil)
	for i := range s.Backends {
		s.Backends[i] = lbapi.BackendStatus{
			Frontend: strings.Repeat("f", 128), Backend: strings.Repeat("b", 128), Health: lbapi.HealthDown,
			Since: time.Now(), Sessions: 1 << 40, Message: strings.Repeat("m", 1024),
		}
	}
	NewWithT(t).Expect(proto.Size(lbapi.StatusToProto(s.WithFewBackends()))).To(BeNumerically("<", lbapi.MaxMessage/64))
}
