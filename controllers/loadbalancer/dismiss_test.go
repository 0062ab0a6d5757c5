package loadbalancer

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// known is a VM with a plan, whose agent has an address.
func known(name string, with ...func(*candidate)) candidate {
	c := candidate{planned: true, carried: true, vm: &capstanv1.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID(name)},
		Spec:       capstanv1.VirtualMachineSpec{RetireSeed: true},
		Status:     capstanv1.VirtualMachineStatus{Phase: capstanv1.VMRunning, Addresses: []string{"192.0.2.7"}},
	}}
	for _, f := range with {
		f(&c)
	}
	return c
}

func TestHowAVMIsDismissedThatIsTooMany(t *testing.T) {
	serves := func(role string) func(*candidate) {
		return func(c *candidate) { c.answers, c.carries, c.serves, c.role = true, true, true, role }
	}
	silentFor := func(d time.Duration) func(*candidate) {
		return func(c *candidate) { c.role, c.silentSince = roleUnknown, now.Add(-d) }
	}
	for name, tc := range map[string]struct {
		leaver, other candidate
		deleted       bool
		resigns       bool
		again         time.Duration
	}{
		"a standby goes":                         {leaver: known("a", serves(roleStandby)), other: known("b", serves(roleActive)), deleted: true},
		"the active one hands over first":        {leaver: known("a", serves(roleActive)), other: known("b", serves(roleStandby)), resigns: true},
		"two that are active hand nothing over":  {leaver: known("a", serves(roleActive)), other: known("b"), deleted: true},
		"one that may hold the VIP can tell":     {leaver: known("a", silentFor(10*time.Second)), other: known("b", serves(roleStandby)), again: 20 * time.Second},
		"one that nobody has asked yet can tell": {leaver: known("a"), other: known("b", serves(roleStandby)), again: firstRetry},
		"one that has been silent for long goes": {leaver: known("a", silentFor(time.Minute)), other: known("b", serves(roleStandby)), deleted: true},
		"one that never had a plan goes":         {leaver: known("a", func(c *candidate) { c.planned = false }), other: known("b", serves(roleActive)), deleted: true},
		"one that is off goes": {
			leaver: known("a", func(c *candidate) { c.vm.Spec.RetireSeed, c.vm.Status.Phase = false, "" }), other: known("b", serves(roleActive)), deleted: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			scheme := runtime.NewScheme()
			g.Expect(capstanv1.AddToScheme(scheme)).To(Succeed())
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(tc.leaver.vm.DeepCopy(), tc.other.vm.DeepCopy()).Build()
			g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(tc.leaver.vm), tc.leaver.vm)).To(Succeed())
			r := &Reconciler{Client: c, Clock: clocktesting.NewFakeClock(now)}
			s := &scope{lb: &capstanv1.LoadBalancer{}, now: now, candidates: []candidate{tc.leaver, tc.other}}
			s.lb.Spec.Replicas = ptr.To[int32](1)
			g.Expect(r.dismiss(t.Context(), s, &s.candidates[0])).To(Succeed())
			left := &capstanv1.VirtualMachine{}
			err := c.Get(t.Context(), client.ObjectKeyFromObject(tc.leaver.vm), left)
			g.Expect(apierrors.IsNotFound(err)).To(Equal(tc.deleted))
			g.Expect(isResigning(left)).To(Equal(tc.resigns))
			g.Expect(s.again).To(Equal(tc.again))
		})
	}
}
