package virtualmachine_test

import (
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestVirtualMachines(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "VirtualMachines on real agents")
}

// The world that all specs share, as clusters do.
var physics *lab

var _ = BeforeSuite(func() {
	env := testenv.Start(GinkgoT())
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	physics = newLab(GinkgoTB(), env)
	physics.addImage("linux", imageSource)
	physics.addNetwork("lan", "1", "99")
	for _, name := range []string{"hv1", "hv2"} {
		host := physics.addHost(name, physics.agents[name].Token)
		Eventually(physics.settled(host)).Should(beReady())
	}
})

// settled reads an object anew and returns its Ready condition.
func (l *lab) settled(obj interface {
	client.Object
	conditions.Holder
}) func() (metav1.Condition, error) {
	return func() (metav1.Condition, error) {
		if err := l.get(obj)(); err != nil {
			return metav1.Condition{}, err
		}
		if c := conditions.Get(obj, capstanv1.ReadyCondition); c != nil {
			return *c, nil
		}
		return metav1.Condition{}, nil
	}
}

func beReady() gomegatypes.GomegaMatcher {
	return HaveField("Status", metav1.ConditionTrue)
}

func wait(reason, message string) gomegatypes.GomegaMatcher {
	return SatisfyAll(HaveField("Status", Not(Equal(metav1.ConditionTrue))), HaveField("Reason", reason), HaveField("Message", ContainSubstring(message)))
}

// told returns how many events of a reason there were about an object.
func (l *lab) told(obj client.Object, reason string) func() int {
	return func() int {
		n := 0
		for _, is := range l.events.Reasons(obj.GetUID()) {
			if is == reason {
				n++
			}
		}
		return n
	}
}
