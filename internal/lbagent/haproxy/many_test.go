package haproxy_test

import (
	"fmt"
	"testing"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
)

// manyServers are as many as a plan of the largest kind has.
func manyServers(host int) (running []haproxy.Running, next []haproxy.Server) {
	for i := range 20000 {
		id := haproxy.ID{Backend: fmt.Sprintf("be:default.web.%d", i/5), Name: fmt.Sprintf("s:node-%d:192.0.2.%d", i%5, host+i%5)}
		running = append(running, haproxy.Running{ID: id})
		next = append(next, haproxy.Server{ID: id})
	}
	return running, next
}

func BenchmarkDiffOfManyServers(b *testing.B) {
	running, _ := manyServers(10)
	_, next := manyServers(20)
	for b.Loop() {
		haproxy.Diff(running, next)
	}
}

func BenchmarkStateForManyServers(b *testing.B) {
	running, _ := manyServers(10)
	_, next := manyServers(20)
	for b.Loop() {
		if _, err := haproxy.StateFor(running, next); err != nil {
			b.Fatal(err)
		}
	}
}
