package service

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbplan"
)

func entryOf(name, vip string, ports ...int32) capstanv1.LoadBalancerService {
	service := capstanv1.LoadBalancerService{Name: name, VIP: vip}
	for _, port := range ports {
		service.Ports = append(service.Ports, capstanv1.LoadBalancerServicePort{Port: port, NodePort: 30000 + port})
	}
	return service
}

func bookOf(services ...capstanv1.LoadBalancerService) *book {
	lb := &capstanv1.LoadBalancer{}
	lb.Generation, lb.Spec.Services = 7, services
	return newBook(lb)
}

func TestABookBeginsWithWhatTheLoadBalancerHas(t *testing.T) {
	g := NewWithT(t)
	b := bookOf(entryOf("default/web", "10.0.0.1", 80))
	unwritten, err := b.put(entryOf("default/web", "10.0.0.1", 80))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(unwritten).To(BeFalse())
	_, since, ok := b.get("default/web")
	g.Expect(ok).To(BeTrue())
	g.Expect(since).To(BeEquivalentTo(7))
}

func TestWhatIsEnteredWhileItIsWrittenIsNotTakenForWritten(t *testing.T) {
	g := NewWithT(t)
	b := bookOf()
	for _, name := range []string{"default/a", "default/b"} {
		unwritten, err := b.put(entryOf(name, "10.0.0.1", int32(len(b.names())+1)))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(unwritten).To(BeTrue())
	}
	services, version := b.page()
	g.Expect(services).To(HaveLen(2))
	_, err := b.put(entryOf("default/c", "10.0.0.1", 3))
	g.Expect(err).NotTo(HaveOccurred())
	_, err = b.put(entryOf("default/a", "10.0.0.1", 4))
	g.Expect(err).NotTo(HaveOccurred())
	b.stand(version, 8)
	since := map[string]int64{}
	for _, name := range b.names() {
		_, since[name], _ = b.get(name)
	}
	g.Expect(since).To(Equal(map[string]int64{"default/a": 0, "default/b": 8, "default/c": 0}))
	unwritten, err := b.put(entryOf("default/c", "10.0.0.1", 3))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(unwritten).To(BeTrue(), "it is as it was, and has still to be written")
}

func TestServicesOnOneAddressDoNotGetInEachOthersWay(t *testing.T) {
	g := NewWithT(t)
	b := bookOf(entryOf("default/web", "10.0.0.1", 80, 443))
	_, err := b.put(entryOf("default/other", "10.0.0.1", 22, 443))
	g.Expect(err).To(MatchError("port 443 of 10.0.0.1 is Service default/web's: take another port, or an address of its own"))
	_, err = b.put(entryOf("default/other", "10.0.0.1", 22))
	g.Expect(err).NotTo(HaveOccurred())
	_, err = b.put(entryOf("default/web", "10.0.0.1", 80, 22))
	g.Expect(err).To(HaveOccurred())
	kept, _, _ := b.get("default/web")
	g.Expect(kept.Ports).To(HaveLen(2), "what it had stays")
	g.Expect(kept.Ports[1].Port).To(BeEquivalentTo(443))
	g.Expect(b.users("10.0.0.1", "default/web")).To(ConsistOf("default/other"))
}

func TestABookHasNoMoreThanALoadBalancerCarries(t *testing.T) {
	g := NewWithT(t)
	b := bookOf()
	for i := range lbplan.MaxServiceVIPs {
		_, err := b.put(entryOf(fmt.Sprintf("default/s%d", i), fmt.Sprintf("10.0.%d.%d", i/250, 1+i%250), 80))
		g.Expect(err).NotTo(HaveOccurred())
	}
	_, err := b.put(entryOf("default/more", "10.1.0.1", 80))
	g.Expect(err).To(MatchError(ContainSubstring("let Services share one")))
	_, err = b.put(entryOf("default/more", "10.0.0.1", 81))
	g.Expect(err).NotTo(HaveOccurred())

	b = bookOf()
	for i := range maxServices {
		_, err := b.put(entryOf(fmt.Sprintf("default/s%d", i), "10.0.0.1", int32(1+i)))
		g.Expect(err).NotTo(HaveOccurred())
	}
	_, err = b.put(entryOf("default/more", "10.0.0.1", 60000))
	g.Expect(err).To(MatchError(ContainSubstring("carries 1000 Services already")))
}
