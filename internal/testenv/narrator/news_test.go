package narrator

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

var began = time.Unix(0, 0)

func clusterPicture(conditions []metav1.Condition) Picture {
	c := capstanv1.WorkloadCluster{ObjectMeta: object("default", "shop")}
	c.Status.Conditions = conditions
	return Picture{clusters: []capstanv1.WorkloadCluster{c}}
}

func vmPicture(conditions []metav1.Condition) Picture {
	vm := capstanv1.VirtualMachine{ObjectMeta: object("lab", "lab-lb-abcde")}
	vm.Status.Conditions = conditions
	return Picture{vms: []capstanv1.VirtualMachine{vm}}
}

func TestAChangeIsToldOnce(t *testing.T) {
	g := NewWithT(t)
	n := newNews()
	waiting := clusterPicture(condition(metav1.ConditionFalse, "WaitingForLoadBalancer", "0 of 1, since 10:00"))
	g.Expect(n.of(waiting, began)).To(ConsistOf(And(HavePrefix("WorkloadCluster shop "), HaveSuffix("WaitingForLoadBalancer: 0 of 1"))))

	waiting.clusters[0].Status.Conditions[0].Message = "still 0 of 1"
	g.Expect(n.of(waiting, began)).To(BeEmpty())

	ready := clusterPicture(isReady)
	g.Expect(n.of(ready, began)).To(ConsistOf(HaveSuffix(" Ready")))

	now := metav1.NewTime(began)
	ready.clusters[0].DeletionTimestamp = &now
	g.Expect(n.of(ready, began)).To(ConsistOf(HaveSuffix(" Deleting")))
	g.Expect(n.of(Picture{}, began)).To(ConsistOf(HaveSuffix(" gone")))
	g.Expect(n.of(Picture{}, began)).To(BeEmpty())
}

func TestTheWayOfAVMIsNoNewsUntilItStopsOnIt(t *testing.T) {
	g := NewWithT(t)
	n := newNews()
	booting := vmPicture(condition(metav1.ConditionFalse, "WaitingForGuest", "no heartbeat"))
	g.Expect(n.of(booting, began)).To(BeEmpty())
	g.Expect(n.of(booting, began.Add(passing-1))).To(BeEmpty())
	g.Expect(n.of(booting, began.Add(passing))).To(ConsistOf(And(HavePrefix("VirtualMachine lab/lab-lb-abcde "), HaveSuffix("WaitingForGuest: no heartbeat"))))
	g.Expect(n.of(vmPicture(isReady), began.Add(passing))).To(ConsistOf(HaveSuffix(" Ready")))

	next := vmPicture(condition(metav1.ConditionFalse, "StagingImage", ""))
	g.Expect(n.of(next, began.Add(2*passing))).To(BeEmpty(), "each step has its own time")
	g.Expect(n.of(Picture{}, began.Add(2*passing))).To(ConsistOf(HaveSuffix(" gone")))
}

func TestWhatNobodyLookedAtYetIsNoNews(t *testing.T) {
	NewWithT(t).Expect(newNews().of(clusterPicture(nil), began)).To(BeEmpty())
}

func TestALongMessageStaysOnOneLine(t *testing.T) {
	g := NewWithT(t)
	text := line("NodePool a", "WaitingForMachines", metav1.Condition{Message: strings.Repeat("ä long\n", 100)})
	g.Expect(text).NotTo(ContainSubstring("\n"))
	g.Expect(len([]rune(text))).To(BeNumerically("<", 200))
}
