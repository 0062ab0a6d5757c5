package addon

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/addons"
)

func TestWhatWasReadIsKeptWithinBounds(t *testing.T) {
	g := NewWithT(t)
	var kept parsed
	third := keptBytes / 3
	for _, key := range []string{"a", "b", "c"} {
		kept.put(&readAddon{key: key, bytes: third, addon: &addons.Addon{Name: key}})
	}
	g.Expect(kept.get("a").addon.Name).To(Equal("a"))
	kept.put(&readAddon{key: "d", bytes: third})
	g.Expect(kept.get("b")).To(BeNil(), "it was not used for longest")
	g.Expect(kept.get("a")).NotTo(BeNil())
	kept.put(&readAddon{key: "a", bytes: 1})
	g.Expect(kept.bytes).To(Equal(2*third + 1))
	kept.put(&readAddon{key: "e", bytes: keptBytes + 1})
	g.Expect(kept.bytes).To(BeZero())
	g.Expect(kept.get("e")).To(BeNil())
}
