package service

import (
	"sync"
	"testing"

	. "github.com/onsi/gomega"
)

func TestOneAtATimeWorksOnAService(t *testing.T) {
	g := NewWithT(t)
	var all turns
	var working sync.WaitGroup
	count := 0
	for range 50 {
		working.Go(func() {
			defer all.take("default/web")()
			// The race detector sees two at once.
			count++
		})
	}
	working.Wait()
	g.Expect(count).To(Equal(50))
	g.Expect(all.taken).To(BeEmpty(), "nothing is kept of names that nobody works on")
}

func TestOthersDoNotWaitForTheirTurn(t *testing.T) {
	g := NewWithT(t)
	var all turns
	giveUp := all.take("default/web")
	other := make(chan struct{})
	go func() {
		all.take("default/other")()
		close(other)
	}()
	g.Eventually(other).Should(BeClosed())
	same := make(chan struct{})
	go func() {
		all.take("default/web")()
		close(same)
	}()
	g.Consistently(same, "20ms").ShouldNot(BeClosed())
	giveUp()
	g.Eventually(same).Should(BeClosed())
}
