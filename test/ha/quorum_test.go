package ha

import (
	"context"
	"net"
	"net/http"
	"os"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// takeoverWithin is how long users may be turned away if the VIP has to move.
const takeoverWithin = 3 * time.Second

func (c *cluster) kubeconfig(g Gomega) []byte {
	text, err := os.ReadFile(c.Kubeconfig(g, shop))
	g.Expect(err).NotTo(HaveOccurred())
	return text
}

// ask returns what the API server of one member answers, past the VIP.
func (c *cluster) ask(member *capstanv1.VirtualMachine) func() (int, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(c.kubeconfig(NewWithT(c.t)))
	NewWithT(c.t).Expect(err).NotTo(HaveOccurred())
	config.Host, config.Timeout = "https://"+net.JoinHostPort(member.Status.Addresses[0], "6443"), 2*time.Second
	return func() (int, error) {
		client, err := rest.HTTPClientFor(config)
		if err != nil {
			return 0, err
		}
		request, err := http.NewRequestWithContext(c.Ctx, http.MethodGet, config.Host+"/api/v1/nodes?limit=1", nil)
		if err != nil {
			return 0, err
		}
		response, err := client.Do(request)
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}
}

// loseQuorum takes the power from one member's host, and then from another's.
func (c *cluster) loseQuorum() {
	g := NewWithT(c.t)
	members := c.members(g)
	first, second, survivor := &members[0], &members[1], &members[2]
	answer := c.ask(survivor)
	g.Expect(answer()).To(Equal(http.StatusOK))

	var lost time.Time
	report := c.whileAsked(func() {
		lost = time.Now()
		g.Expect(c.Env.Admin.HostDown(c.Ctx, first.Spec.Placement.Host)).To(Succeed())
		g.Eventually(c.Ctx, c.hostReady(first.Spec.Placement.Host)).WithPolling(often).WithTimeout(patience).ShouldNot(Equal(metav1.ConditionTrue))
		g.Consistently(answer, "3s", often).Should(Equal(http.StatusOK), "two of three are a majority")
	})
	window, err := report.CheckTakeover(lost, takeoverWithin)
	g.Expect(err).NotTo(HaveOccurred())
	c.t.Logf("one of three is gone: %d requests failed within %d ms", window.Failed, window.Length().Milliseconds())

	g.Expect(c.Env.Admin.HostDown(c.Ctx, second.Spec.Placement.Host)).To(Succeed())
	g.Eventually(c.Ctx, answer).WithPolling(often).WithTimeout(patience).Should(Equal(http.StatusServiceUnavailable))
	g.Consistently(answer, "1s", often).Should(Equal(http.StatusServiceUnavailable), "one of three is none")

	for _, member := range []*capstanv1.VirtualMachine{first, second} {
		g.Expect(c.Env.Admin.HostUp(c.Ctx, member.Spec.Placement.Host)).To(Succeed())
	}
	g.Eventually(c.Ctx, answer).WithPolling(often).WithTimeout(patience).Should(Equal(http.StatusOK))
	c.settle(len(members))
}

func (c *cluster) hostReady(name string) func(context.Context) metav1.ConditionStatus {
	return func(ctx context.Context) metav1.ConditionStatus {
		hosts := &capstanv1.HyperVHostList{}
		if err := c.API.List(ctx, hosts); err != nil {
			return metav1.ConditionUnknown
		}
		for i := range hosts.Items {
			if hosts.Items[i].Name == name {
				return demoenv.ReadyOf(&hosts.Items[i]).Status
			}
		}
		return metav1.ConditionUnknown
	}
}
