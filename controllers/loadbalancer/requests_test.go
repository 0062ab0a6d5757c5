package loadbalancer_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// requests counts what the manager asks the API server.
type requests struct {
	mu    sync.Mutex
	count map[string]int
	// namespace is whose requests count, beside those of no namespace.
	namespace string
}

// wrap is for a client's configuration.
func (r *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.URL.Query().Get("watch") == "" {
			r.add(request.Method, request.URL.Path)
		}
		return next.RoundTrip(request)
	})
}

// add counts a request by its method and the kind of object, or all of a kind, that
// it is about.
func (r *requests) add(method, path string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	kind := parts[len(parts)-1]
	for i, part := range parts {
		switch {
		case part == "namespaces" && len(parts) > i+2:
			kind = strings.Join(append(parts[i+2:i+3], parts[min(i+4, len(parts)):]...), "/")
			if len(parts) > i+3 {
				kind += "/<name>"
			}
		case part == "addressreservations" && len(parts) > i+1:
			kind = part + "/<name>"
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.Contains(path, "/namespaces/") && !strings.Contains(path, "/namespaces/"+r.namespace+"/") {
		return
	}
	r.count[method+" "+kind]++
}

func (r *requests) reset(namespace string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count, r.namespace = map[string]int{}, namespace
}

// taken returns the counts, and their sum.
func (r *requests) taken() (count map[string]int, sum int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	count = map[string]int{}
	for what, n := range r.count {
		count[what] = n
		sum += n
	}
	return count, sum
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

var _ = Describe("What a LoadBalancer costs the API server", func() {
	It("is a few requests for each VM, and nothing once it is ready", func(ctx SpecContext) {
		s := newSite(ctx)
		s.runHosts(ctx)
		asked.reset(s.namespace)
		s.newPair(ctx)
		count, sum := asked.taken()
		AddReportEntry("requests of a manager for a LoadBalancer of two VMs", fmt.Sprintf("%d: %v", sum, count))
		Expect(count).NotTo(HaveKey("GET addressreservations"), "listing all of them grows with the number of clusters")
		Expect(sum).To(BeNumerically("<=", mostRequests), "%v", count)

		By("being left alone")
		quiet := func() int {
			_, sum := asked.taken()
			return sum
		}
		Eventually(func(g Gomega) {
			asked.reset(s.namespace)
			g.Consistently(quiet, "300ms").Should(BeZero())
		}).Should(Succeed())
		Consistently(quiet, "1s").Should(BeZero(), "it polls")
	})
})

// mostRequests is more than a LoadBalancer of two VMs takes, claims, tokens, keys,
// status and events included, and less than one more for each half second of a boot.
const mostRequests = 35
