package lbplan_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"pgregory.net/rapid"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbplan"
)

const serviceVIP = "192.0.2.120"

func withServices(services ...lbplan.Service) func(*lbplan.Input) {
	return func(in *lbplan.Input) {
		in.Services = services
		in.Nodes = []lbplan.Node{{Name: "worker-b", Address: "192.0.2.31"}, {Name: "worker-a", Address: "192.0.2.30"}}
	}
}

func newService(with ...func(*lbplan.Service)) lbplan.Service {
	s := lbplan.Service{Name: "default/web", VIP: serviceVIP, Ports: []lbplan.Port{{Port: 80, NodePort: 30080}}}
	for _, f := range with {
		f(&s)
	}
	return s
}

func compute(t *testing.T, with ...func(*lbplan.Input)) lbplan.Plans {
	t.Helper()
	plans, err := lbplan.Compute(newInput(with...))
	if err != nil {
		t.Fatalf("compute: %v", err)
	}
	return plans
}

func frontendNamed(p lbapi.Plan, name string) *lbapi.Frontend {
	for i := range p.Frontends {
		if p.Frontends[i].Name == name {
			return &p.Frontends[i]
		}
	}
	return nil
}

func TestAServiceIsItsPortsOnItsVIPWithTheNodesBehind(t *testing.T) {
	g := NewWithT(t)
	plans := compute(t, withServices(newService(func(s *lbplan.Service) {
		s.Ports = append(s.Ports, lbplan.Port{Port: 443, NodePort: 30443})
		s.AllowedSources = []string{"198.51.100.0/24"}
	})))
	g.Expect(plans.Refused).To(BeEmpty())
	for _, plan := range plans.VMs {
		g.Expect(plan.VIPs).To(ConsistOf(
			lbapi.VIP{Address: "192.0.2.100", Network: "192.0.2.0/24", VRID: 5},
			lbapi.VIP{Address: serviceVIP, Network: "192.0.2.0/24", VRID: 5},
		), "one network has one virtual router")
		g.Expect(plan.Frontends).To(HaveLen(3))
		f := frontendNamed(plan, "default.web.443")
		g.Expect(f).NotTo(BeNil())
		g.Expect(f.VIP).To(Equal(serviceVIP))
		g.Expect(f.AllowedSources).To(ConsistOf("198.51.100.0/24"))
		g.Expect(f.Backends).To(Equal([]lbapi.Backend{
			{Name: "worker-a", Address: "192.0.2.30", Port: 30443}, {Name: "worker-b", Address: "192.0.2.31", Port: 30443},
		}))
		g.Expect(f.Check.Kind).To(Equal(lbapi.CheckTCP))
	}
}

func TestNodesAreAskedOnTheHealthCheckPort(t *testing.T) {
	g := NewWithT(t)
	plans := compute(t, withServices(newService(func(s *lbplan.Service) { s.HealthCheckPort = 31234 })))
	check := frontendNamed(plans.VMs[0], "default.web.80").Check
	g.Expect(check.Kind).To(Equal(lbapi.CheckHTTP))
	g.Expect(check.Path).To(Equal("/healthz"))
	g.Expect(check.Port).To(BeEquivalentTo(31234))
}

func TestServicesMayShareAVIP(t *testing.T) {
	g := NewWithT(t)
	plans := compute(t, withServices(newService(), newService(func(s *lbplan.Service) { s.Name, s.Ports[0].Port = "default/ssh", 22 })))
	g.Expect(plans.Refused).To(BeEmpty())
	g.Expect(plans.VMs[0].VIPs).To(HaveLen(2))
	g.Expect(plans.VMs[0].Frontends).To(HaveLen(3))
}

func TestNodesAreDrainedUnlessAllAre(t *testing.T) {
	g := NewWithT(t)
	draining := func(n int) []bool {
		plans := compute(t, withServices(newService()), func(in *lbplan.Input) {
			for i := range n {
				in.Nodes[i].Draining = true
			}
		})
		var drained []bool
		for _, b := range frontendNamed(plans.VMs[0], "default.web.80").Backends {
			drained = append(drained, b.Drain)
		}
		return drained
	}
	g.Expect(draining(0)).To(Equal([]bool{false, false}))
	g.Expect(draining(1)).To(Equal([]bool{false, true}))
	g.Expect(draining(2)).To(Equal([]bool{false, false}))
}

func TestWhatCannotBeCarriedIsLeftOutAlone(t *testing.T) {
	other := newService(func(s *lbplan.Service) { s.Name, s.VIP = "default/other", "192.0.2.121" })
	for name, tt := range map[string]struct {
		with func(*lbplan.Input)
		want string
	}{
		"VIP elsewhere":           {withServices(other, newService(func(s *lbplan.Service) { s.VIP = "198.51.100.1" })), "outside the networks"},
		"VIP that is no address":  {withServices(other, newService(func(s *lbplan.Service) { s.VIP = "192.0.2.120\nbind *" })), "not an address"},
		"the API server's VIP":    {withServices(other, newService(func(s *lbplan.Service) { s.VIP = "192.0.2.100" })), "API server"},
		"a VM's address":          {withServices(other, newService(func(s *lbplan.Service) { s.VIP = "192.0.2.2" })), "address of a peer"},
		"a machine's address":     {withServices(other, newService(func(s *lbplan.Service) { s.VIP = "192.0.2.10" })), "control-plane machine"},
		"another's port":          {withServices(other, newService(func(s *lbplan.Service) { s.VIP = other.VIP })), `port 80 of 192.0.2.121 is Service "default/other"'s`},
		"port twice":              {withServices(other, newService(func(s *lbplan.Service) { s.Ports = append(s.Ports, s.Ports[0]) })), "there twice"},
		"no ports":                {withServices(other, newService(func(s *lbplan.Service) { s.Ports = nil })), "no ports"},
		"no node port":            {withServices(other, newService(func(s *lbplan.Service) { s.Ports[0].NodePort = 0 })), "must be 1 to 65535"},
		"there twice":             {withServices(other, other), "it is there twice"},
		"hostile sources":         {withServices(other, newService(func(s *lbplan.Service) { s.AllowedSources = []string{"0.0.0.0/0 }\nacl x"} })), "is not a network"},
		"node of another family":  {withNodes(other, lbplan.Node{Name: "six", Address: "2001:db8::1"}), `node "six": "2001:db8::1" is not an IPv4 address`},
		"node that is a VIP":      {withNodes(other, lbplan.Node{Name: "loop", Address: other.VIP}), "virtual address"},
		"node of another's place": {withNodes(other, lbplan.Node{Name: "z", Address: "192.0.2.30"}), "another node has its address"},
		"node without an address": {withNodes(other, lbplan.Node{Name: "x", Address: "0.0.0.0"}), "one host"},
		"node that is the VM":     {withNodes(other, lbplan.Node{Name: "x", Address: "127.0.0.1"}), "each machine"},
		"node on the link":        {withNodes(other, lbplan.Node{Name: "x", Address: "169.254.169.254"}), "each machine"},
		"node that is no network": {withNodes(other, lbplan.Node{Name: "x", Address: "0.0.0.1"}), "each machine"},
		"node that is a peer":     {withNodes(other, lbplan.Node{Name: "x", Address: "192.0.2.2"}), "load-balancer VM"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			plans := compute(t, tt.with)
			g.Expect(plans.Refused).To(HaveLen(1))
			g.Expect(plans.Refused[0].String()).To(And(ContainSubstring(tt.want), Not(ContainSubstring("\n"))))
			g.Expect(frontendNamed(plans.VMs[0], lbplan.APIFrontend)).NotTo(BeNil())
			g.Expect(frontendNamed(plans.VMs[0], "default.other.80")).To(HaveField("Backends", HaveLen(2)))
		})
	}
}

func withNodes(service lbplan.Service, node lbplan.Node) func(*lbplan.Input) {
	return func(in *lbplan.Input) {
		withServices(service)(in)
		in.Nodes = append(in.Nodes, node)
	}
}

func TestMoreThanAVMCarriesIsRefused(t *testing.T) {
	g := NewWithT(t)
	in := newInput(func(in *lbplan.Input) {
		in.VIPs[0].Network = "192.0.0.0/16"
		for i := range lbplan.MaxServiceVIPs + 2 {
			in.Services = append(in.Services, newService(func(s *lbplan.Service) {
				s.Name, s.VIP = fmt.Sprintf("default/s%03d", i), fmt.Sprintf("192.0.%d.%d", 3+i/250, 1+i%250)
			}))
		}
	})
	plans, err := lbplan.Compute(in)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(plans.Refused).To(HaveLen(2))
	g.Expect(plans.Refused[0].Why).To(ContainSubstring("let some share one"))
	g.Expect(plans.VMs[0].VIPs).To(HaveLen(lbplan.MaxServiceVIPs + 1))

	in = newInput(withServices(), func(in *lbplan.Input) {
		for i := range lbplan.MaxServicePorts/100 + 1 {
			in.Services = append(in.Services, newService(func(s *lbplan.Service) {
				s.Name, s.Ports = fmt.Sprintf("default/s%03d", i), nil
				for j := range 100 {
					s.Ports = append(s.Ports, lbplan.Port{Port: int32(1000 + 100*i + j), NodePort: int32(30000 + j)})
				}
			}))
		}
	})
	plans, err = lbplan.Compute(in)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(plans.Refused).To(HaveLen(1))
	g.Expect(plans.VMs[0].Frontends).To(HaveLen(lbplan.MaxServicePorts + 1))
}

// TestPortsTimesNodesAreBounded has each of the numbers well within its own bound.
func TestPortsTimesNodesAreBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		nodes, ports, sources, carried int
		why                            string
	}{
		"as much as can be": {nodes: 100, ports: 10, carried: 10},
		"too many backends": {nodes: 101, ports: 10, carried: 9,
			why: "with its 10 ports the load balancer would carry 100 ports for Services on 101 nodes: the product may be 10000 at most"},
		"as many sources as can be": {nodes: 1, ports: 50, sources: 100, carried: 10},
		"too many sources": {nodes: 1, ports: 50, sources: 101, carried: 9,
			why: "with its 101 source ranges on 50 ports the load balancer would have 50500 for Services, of at most 50000"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			plans := compute(t, func(in *lbplan.Input) {
				for i := range tt.nodes {
					in.Nodes = append(in.Nodes, lbplan.Node{Name: fmt.Sprintf("n%03d", i), Address: fmt.Sprintf("198.51.100.%d", i+1)})
				}
				for i := range 10 {
					in.Services = append(in.Services, newService(func(s *lbplan.Service) {
						s.Name, s.Ports = fmt.Sprintf("default/s%d", i), nil
						for j := range tt.ports {
							s.Ports = append(s.Ports, lbplan.Port{Port: int32(1000 + 100*i + j), NodePort: int32(30000 + j)})
						}
						for j := range tt.sources {
							s.AllowedSources = append(s.AllowedSources, fmt.Sprintf("10.0.%d.0/24", j))
						}
					}))
				}
			})
			g.Expect(plans.VMs[0].Frontends).To(HaveLen(1 + tt.carried*tt.ports))
			g.Expect(frontendNamed(plans.VMs[0], lbplan.APIFrontend)).NotTo(BeNil())
			if tt.why == "" {
				g.Expect(plans.Refused).To(BeEmpty())
				return
			}
			g.Expect(plans.Refused).To(ConsistOf(lbplan.Refusal{Name: "default/s9", Why: tt.why}))
		})
	}
}

func TestSimulatedNodesHaveAddressesOfTheSimulatedNetwork(t *testing.T) {
	g := NewWithT(t)
	plans := compute(t, func(in *lbplan.Input) {
		*in = lbplan.Input{
			Generation: 1, Cluster: in.Cluster, API: in.API, VIPs: []lbapi.VIP{{Address: "127.64.100.1", Network: "127.64.0.0/16", VRID: 5}},
			VMs:      []lbplan.VM{{Name: "shop-lb-a", Address: "127.64.1.2"}},
			Services: []lbplan.Service{newService(func(s *lbplan.Service) { s.VIP = "127.64.100.2" })},
			Nodes:    []lbplan.Node{{Name: "inside", Address: "127.64.1.3"}, {Name: "outside", Address: "127.0.0.1"}},
		}
		in.API.VIP = "127.64.100.1"
	})
	g.Expect(frontendNamed(plans.VMs[0], "default.web.80").Backends).To(ConsistOf(HaveField("Name", "inside")))
	g.Expect(plans.Refused).To(ConsistOf(HaveField("Name", "outside")))
}

// hostile draws text as somebody may put it anywhere.
func hostile(fine ...string) *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom(fine), rapid.SampledFrom([]string{
		"", "\n", "a\nserver x 10.0.0.1:80", `"`, "a b", "#", "default/web\x00", "../..", "ns/na.me", "a.b/c", "default/" + strings.Repeat("x", 63),
		strings.Repeat("y", 63) + "/" + strings.Repeat("x", 63), strings.Repeat("z", 300), "192.0.2.120 ", "::ffff:192.0.2.120", "fe80::1%eth0", "0.0.0.0/0", "10.0.0.1/8",
		"service-0/x", "node-sha-0", "kube-apiserver", "ünï/cødé",
	}), rapid.String())
}

func anyServices() *rapid.Generator[lbplan.Input] {
	return rapid.Custom(func(t *rapid.T) lbplan.Input {
		in := anyInput().Draw(t, "base")
		name := hostile("default/web", "default/ssh", "shop/web", "a/b")
		address := hostile("192.0.2.120", "192.0.2.121", "192.0.2.122", "192.0.2.100", "192.0.2.50", "198.51.100.1")
		port := rapid.OneOf(rapid.SampledFrom([]int32{80, 443, 22, 6443}), rapid.Int32())
		in.Services = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) lbplan.Service {
			return lbplan.Service{
				Name: name.Draw(t, "name"), VIP: address.Draw(t, "vip"),
				Ports: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) lbplan.Port {
					return lbplan.Port{Port: port.Draw(t, "port"), NodePort: port.Draw(t, "nodePort")}
				}), 0, 3).Draw(t, "ports"),
				AllowedSources:  rapid.SliceOfN(hostile("10.0.0.0/8", "192.0.2.0/24"), 0, 2).Draw(t, "sources"),
				HealthCheckPort: rapid.OneOf(rapid.Just(int32(0)), port).Draw(t, "check"),
			}
		}), 0, 8).Draw(t, "services")
		in.Nodes = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) lbplan.Node {
			return lbplan.Node{
				Name:     hostile("worker-a", "worker-b").Draw(t, "name"),
				Address:  hostile("192.0.2.200", "192.0.2.201", "192.0.2.202", "2001:db8::1").Draw(t, "address"),
				Draining: rapid.Bool().Draw(t, "draining"),
			}
		}), 0, 6).Draw(t, "nodes")
		return in
	})
}

func TestNoServiceStandsInTheWayOfAValidPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := NewWithT(t)
		in := anyServices().Draw(t, "input")
		plans, err := lbplan.Compute(in)
		g.Expect(err).NotTo(HaveOccurred())
		refused := 0
		for _, r := range plans.Refused {
			g.Expect(r.String()).NotTo(ContainSubstring("\n"))
			if !r.IsNode {
				refused++
			}
		}
		bare := in
		bare.Services, bare.Nodes = nil, nil
		without, err := lbplan.Compute(bare)
		g.Expect(err).NotTo(HaveOccurred())
		for i, p := range plans.VMs {
			g.Expect(lbapi.Validate(p)).To(BeEmpty())
			g.Expect(frontendNamed(p, lbplan.APIFrontend)).To(Equal(frontendNamed(without.VMs[i], lbplan.APIFrontend)))
			carried := map[string]bool{}
			for _, f := range p.Frontends {
				if f.Name != lbplan.APIFrontend {
					carried[f.Name[:strings.LastIndex(f.Name, ".")]] = true
				}
			}
			g.Expect(len(carried)+refused).To(Equal(len(in.Services)), "each Service is carried or told")
		}
	})
}

func TestTheOrderOfServicesMeansNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyServices().Draw(t, "input")
		seen := map[string]bool{}
		for _, s := range in.Services {
			if seen[s.Name] {
				t.Skip("of two with one name, the first counts")
			}
			seen[s.Name] = true
		}
		shuffled := in
		shuffled.Services = rapid.Permutation(in.Services).Draw(t, "services")
		a, errA := lbplan.Compute(in)
		b, errB := lbplan.Compute(shuffled)
		if errA != nil || errB != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("plans differ: %v %v\n%v\n%v", errA, errB, a, b)
		}
	})
}
