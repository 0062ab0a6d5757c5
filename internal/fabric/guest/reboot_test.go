package guest_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr/testr"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/capstan-k8s/capstan/internal/fabric/guest"
)

func TestAClusterSurvivesTheFabricAndTheLossOfItsSeeds(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	cp := w.startCluster()
	worker := w.machine("worker-1").seed(w.worker()).powerOn()
	g.Eventually(worker.ready, patient, often).Should(BeTrue(), worker.said)
	client := w.admin(w.vip.at).CoreV1()
	before, err := client.Nodes().Get(context.Background(), "worker-1", metav1.GetOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = client.ConfigMaps("default").Create(context.Background(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())

	cp.powerOff()
	worker.powerOff()
	w.runtime = guest.New(guest.Options{Log: testr.New(t), Retry: often})
	for _, m := range []*machine{cp, worker} {
		m.Machine.Seed = nil
		m.powerOn()
		g.Eventually(m.ready, patient, often).Should(BeTrue(), m.said)
	}
	g.Expect(worker.report.Addresses).To(HaveKeyWithValue(worker.Machine.MACs[0], []string{worker.address.String()}))
	after, err := client.Nodes().Get(context.Background(), "worker-1", metav1.GetOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(after.UID).To(Equal(before.UID))
	g.Expect(after.Spec.ProviderID).To(Equal("hyperv://" + worker.id))
	_, err = client.ConfigMaps("default").Get(context.Background(), "kept", metav1.GetOptions{})
	g.Expect(err).NotTo(HaveOccurred())
}

func TestAClusterDiesWithTheDisksOfItsMembers(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	cp := w.startCluster()
	client := w.admin(w.vip.at).CoreV1()
	_, err := client.ConfigMaps("default").Create(context.Background(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "lost"}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	cp.powerOff()
	g.Expect(os.RemoveAll(cp.Machine.DiskDir)).To(Succeed())

	next := w.machine("cp-next").seed(w.init())
	w.vip.backends(next)
	next.powerOn()
	g.Eventually(next.ready, patient, often).Should(BeTrue(), next.said)
	maps, err := client.ConfigMaps("default").List(context.Background(), metav1.ListOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(maps.Items).To(BeEmpty())
}

func TestAMachineWithoutASeedKnowsNothingOfItself(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	m := w.machine("blank").powerOn()
	g.Eventually(m.phase, patient, often).Should(Equal(guest.PhaseFailed))
	g.Expect(m.said()).To(ContainSubstring("no data source"))
}

func TestADiskBelongsToOneInstance(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	w.startCluster()
	first := w.machine("worker-1").seed(w.worker()).powerOn()
	g.Eventually(first.ready, patient, often).Should(BeTrue(), first.said)
	first.powerOff()
	second := w.machine("worker-2").seed(w.worker())
	second.Machine.DiskDir = filepath.Join(w.dir, "worker-1")
	second.powerOn()
	g.Eventually(second.phase, patient, often).Should(Equal(guest.PhaseFailed))
	g.Expect(second.said()).To(ContainSubstring("this disk belongs to instance " + first.id))
}
