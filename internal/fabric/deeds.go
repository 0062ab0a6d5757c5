package fabric

import (
	"context"
	"slices"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// mostDeeds is how many deeds are remembered.
const mostDeeds = 4096

// deeds are what hosts were told to take away, oldest first.
type deeds struct {
	told []fabricapi.Deed
	last int
}

// record remembers what a host was told to take away. The world is locked.
func (h *Host) record(t *tx, deed fabricapi.Deed) {
	deed.At, deed.Host = h.w.Clock.Now(), h.Name
	// A change that cannot be written did not happen.
	t.then(func() {
		_ = h.w.locked(func() error {
			h.w.deeds.last++
			deed.Number = h.w.deeds.last
			h.w.deeds.told = append(h.w.deeds.told, deed)
			if over := len(h.w.deeds.told) - mostDeeds; over > 0 {
				h.w.deeds.told = slices.Delete(h.w.deeds.told, 0, over)
			}
			return nil
		})
	})
}

// did remembers a deed to a VM, before it happens. The world is locked.
func (h *Host) did(t *tx, op, object string, v *vm) {
	deed := fabricapi.Deed{Op: op, Object: object, Name: v.Name, Stamp: v.Stamp}
	if elector, ok := v.guest.(Elector); ok {
		deed.Electorate = elector.Electorate()
	}
	h.record(t, deed)
}

// Deeds returns what hosts were told to take away.
func (a *Admin) Deeds(_ context.Context, req fabricapi.DeedsRequest) (out []fabricapi.Deed, err error) {
	err = a.w.locked(func() error {
		for _, deed := range a.w.deeds.told {
			if deed.Number > req.After {
				out = append(out, deed)
			}
		}
		return nil
	})
	return out, err
}
