package virtualmachine

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/fabric/guest/seed"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const vmID = "6b1f9c1e-0d5c-4c9e-9d5e-2f8c7a1b3d4e"

func seeded() *scope {
	vm := machine("shop-worker")
	vm.Spec.ID, vm.Spec.OS = vmID, capstanv1.OSLinux
	network := &capstanv1.LogicalNetwork{Spec: capstanv1.LogicalNetworkSpec{
		DNSServers: []string{"10.0.0.53"}, Subnets: []capstanv1.Subnet{{CIDR: "10.0.0.0/24", Gateway: "10.0.0.1"}},
	}}
	address := &ipamv1.IPAddress{Spec: ipamv1.IPAddressSpec{Address: "10.0.0.10", Prefix: ptr.To(int32(24))}}
	return &scope{vm: vm, networks: []*capstanv1.LogicalNetwork{network}, addresses: []*ipamv1.IPAddress{address}}
}

func TestAGuestReadsWhoItIsAndItsAddressFromItsSeed(t *testing.T) {
	g := NewWithT(t)
	disk, err := seedOf(seeded(), map[string][]byte{"value": []byte("#cloud-config\nruncmd: [hello]\n")})
	g.Expect(err).NotTo(HaveOccurred())
	mac := hostapi.MACAddress(vmID, 0)
	guest, err := seed.Read(disk, []string{mac})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(guest.InstanceID).To(Equal(vmID))
	g.Expect(guest.Hostname).To(Equal("shop-worker"))
	g.Expect(guest.NICs).To(HaveLen(1))
	g.Expect(guest.NICs[0].MAC).To(Equal(mac))
	g.Expect(guest.NICs[0].Addresses[0].String()).To(Equal("10.0.0.10/24"))
	g.Expect(guest.NICs[0].Gateway.String()).To(Equal("10.0.0.1"))
}

func TestALoadBalancerBootsWithItsConfigurationAndNoUserData(t *testing.T) {
	g := NewWithT(t)
	s := seeded()
	s.vm.Spec.Role = capstanv1.RoleLoadBalancer
	disk, err := seedOf(s, map[string][]byte{"value": []byte("name: lb\n")})
	g.Expect(err).NotTo(HaveOccurred())
	guest, err := seed.Read(disk, []string{hostapi.MACAddress(vmID, 0)})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(guest.Config.Files["/etc/capstan-lb/config.yaml"].Content)).To(Equal("name: lb\n"))
}

func TestWhatIsWrongWithASeedNeverShowsWhatIsInIt(t *testing.T) {
	g := NewWithT(t)
	_, err := seedOf(seeded(), map[string][]byte{"value": []byte("password: hunter2")})
	g.Expect(err).To(MatchError(Not(ContainSubstring("hunter2"))))
}

func TestTheClusterIsAlwaysReachedWithoutTheProxy(t *testing.T) {
	g := NewWithT(t)
	s := seeded()
	s.cluster = &clusterv1.Cluster{}
	s.cluster.Spec.ClusterNetwork.Pods.CIDRBlocks = []string{"10.244.0.0/16"}
	s.cluster.Spec.ClusterNetwork.Services.CIDRBlocks = []string{"10.96.0.0/12"}
	s.cluster.Spec.ClusterNetwork.ServiceDomain = "cluster.local"
	s.cluster.Spec.ControlPlaneEndpoint.Host = "10.0.0.200"
	all := noProxy(s, []string{"intra.example", "10.0.0.0/24"})
	g.Expect(all).To(ConsistOf("intra.example", "localhost", "127.0.0.0/8", ".svc", "10.0.0.0/24", "10.244.0.0/16", "10.96.0.0/12", ".cluster.local", "10.0.0.200"))
}

func TestAWindowsGuestReadsItsSeedByItsOwnRules(t *testing.T) {
	g := NewWithT(t)
	s := seeded()
	s.vm.Spec.OS = capstanv1.OSWindows
	data := map[string][]byte{"value": []byte("## template: jinja\n#cloud-config\nruncmd: ['echo {{ v1.local_hostname }}']\n"), "format": []byte("cloud-config")}
	disk, err := seedOf(s, data)
	g.Expect(err).NotTo(HaveOccurred())
	guest, err := seed.ReadWindows(disk, []string{hostapi.MACAddress(vmID, 0)})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(guest.InstanceID).To(Equal(vmID))
	g.Expect(guest.NICs[0].Addresses[0].String()).To(Equal("10.0.0.10/24"))
	g.Expect(guest.Config.Commands).To(ContainElement("echo shop-worker"))

	s.vm.Name = "shop-windows-x7k2p"
	_, err = seedOf(s, data)
	g.Expect(err).To(MatchError(ContainSubstring("has more than the 15 characters that the name of a Windows computer may have")))
}
