package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func cluster(status metav1.ConditionStatus, reason, message string) capstanv1.WorkloadCluster {
	c := capstanv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Name: "shop", Generation: 1}}
	c.Status.Conditions = []metav1.Condition{{
		Type: capstanv1.ReadyCondition, Status: status, Reason: reason, Message: message, ObservedGeneration: 1,
	}}
	return c
}

func TestAChangeIsToldOnce(t *testing.T) {
	g := NewWithT(t)
	w := &watcher{told: map[string]string{}}
	waiting := picture{clusters: []capstanv1.WorkloadCluster{cluster(metav1.ConditionFalse, "WaitingForLoadBalancer", "0 of 1, since 10:00")}}
	g.Expect(w.news(waiting)).To(ConsistOf(And(HavePrefix("WorkloadCluster shop "), HaveSuffix("WaitingForLoadBalancer: 0 of 1"))))

	waiting.clusters[0].Status.Conditions[0].Message = "still 0 of 1"
	g.Expect(w.news(waiting)).To(BeEmpty())

	ready := picture{clusters: []capstanv1.WorkloadCluster{cluster(metav1.ConditionTrue, "Ready", "all is well")}}
	g.Expect(w.news(ready)).To(ConsistOf(HaveSuffix(" Ready")))

	now := metav1.NewTime(time.Unix(0, 0))
	ready.clusters[0].DeletionTimestamp = &now
	g.Expect(w.news(ready)).To(ConsistOf(HaveSuffix(" Deleting")))
	g.Expect(w.news(picture{})).To(ConsistOf(HaveSuffix(" gone")))
	g.Expect(w.news(picture{})).To(BeEmpty())
}

func TestWhatNobodyLookedAtYetIsNoNews(t *testing.T) {
	w := &watcher{told: map[string]string{}}
	NewWithT(t).Expect(w.news(picture{clusters: []capstanv1.WorkloadCluster{{}}})).To(BeEmpty())
}

func TestALongMessageStaysOnOneLine(t *testing.T) {
	g := NewWithT(t)
	text := line("NodePool a", "WaitingForMachines", metav1.Condition{Message: strings.Repeat("ä long\n", 100)})
	g.Expect(text).NotTo(ContainSubstring("\n"))
	g.Expect(len([]rune(text))).To(BeNumerically("<", 200))
}

func TestReadyNeedsBothObjectsAndAllWorkers(t *testing.T) {
	g := NewWithT(t)
	pool := capstanv1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "shop-linux", Generation: 1}}
	pool.Status.Conditions = cluster(metav1.ConditionTrue, "Ready", "").Status.Conditions
	pool.Status.Replicas, pool.Status.ReadyReplicas = 1, 1
	p := picture{clusters: []capstanv1.WorkloadCluster{cluster(metav1.ConditionTrue, "Ready", "")}, pools: []capstanv1.NodePool{pool}}
	g.Expect(p.ready(1)).To(BeTrue())
	g.Expect(p.ready(3)).To(BeFalse())

	p.pools[0].Generation = 2
	g.Expect(p.ready(1)).To(BeFalse(), "the pool has not been looked at since its spec changed")
	g.Expect(picture{clusters: p.clusters}.ready(1)).To(BeFalse())
}

func TestOnlyLogsWithErrorsAreShown(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	write := func(name, text string) {
		g.Expect(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)).To(Succeed())
	}
	write("manager.log", `{"level":"info","msg":"fine"}`+"\n"+`{"level":"error","msg":"not so fine"}`+"\n")
	write("etcd.log", "all quiet\n")
	var out bytes.Buffer
	newScreen(&out).logErrors(dir)
	g.Expect(out.String()).To(And(ContainSubstring("not so fine"), ContainSubstring("manager.log"),
		Not(ContainSubstring(`"fine"`)), Not(ContainSubstring("etcd.log"))))
}
