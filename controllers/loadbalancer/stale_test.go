package loadbalancer

import (
	"errors"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestThatSomebodyElseWroteFirstIsNobodysNews(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "virtualmachines"}, "shop-lb-1", errors.New("the object has been modified"))
	for name, c := range map[string]struct {
		s     scope
		stale bool
	}{
		"nothing failed":                            {scope{}, false},
		"a plan had a number already":               {scope{behind: true}, true},
		"a VM changed since it was judged":          {scope{err: fmt.Errorf("giving VirtualMachine shop-lb-1 up: %w", conflict)}, true},
		"a machine that leaves could not be, too":   {scope{err: errors.Join(conflict, errors.New("reading Machines"))}, true},
		"something failed that a person must learn": {scope{err: errors.New("reading Machines")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(c.s.isStale()).To(Equal(c.stale))
		})
	}
}
