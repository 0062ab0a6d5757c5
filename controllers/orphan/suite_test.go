package orphan

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestOrphanSweep(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "The orphan sweep on real agents")
}

// env is the API server that all specs share. A sweep looks at all of it, so each spec
// leaves it empty.
var env *testenv.Env

var _ = BeforeSuite(func() {
	env = testenv.Start(GinkgoT())
	SetDefaultEventuallyTimeout(time.Minute)
})

var _ = AfterEach(func(ctx SpecContext) {
	for _, list := range []client.ObjectList{
		&capstanv1.HyperVHostList{}, &capstanv1.VirtualMachineList{}, &infrav1.HyperVMachineList{}, &capstanv1.TombstoneList{},
	} {
		Expect(env.Client.List(ctx, list)).To(Succeed())
		each(list, func(obj client.Object) { Expect(client.IgnoreNotFound(env.Client.Delete(ctx, obj))).To(Succeed()) })
	}
})

func each(list client.ObjectList, do func(client.Object)) {
	switch l := list.(type) {
	case *capstanv1.HyperVHostList:
		for i := range l.Items {
			do(&l.Items[i])
		}
	case *capstanv1.VirtualMachineList:
		for i := range l.Items {
			do(&l.Items[i])
		}
	case *infrav1.HyperVMachineList:
		for i := range l.Items {
			do(&l.Items[i])
		}
	case *capstanv1.TombstoneList:
		for i := range l.Items {
			do(&l.Items[i])
		}
	}
}

// hookedReader calls a hook before each list of VirtualMachines.
type hookedReader struct {
	client.Reader
	before func()
}

// List implements client.Reader.
func (h *hookedReader) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if _, ok := list.(*capstanv1.VirtualMachineList); ok && h.before != nil {
		h.before()
	}
	return h.Reader.List(ctx, list, options...)
}
