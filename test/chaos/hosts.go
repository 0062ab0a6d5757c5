package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// hostKinds are what befalls hosts, one at a time or all at once.
func hostKinds() []kind {
	return []kind{
		{name: "host-lost", share: 1, slot: hostSlot, strike: func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
			return s.hostDown(ctx, r, s.hostIn(r, true), false)
		}},
		{name: "standalone-host-lost", share: 1, slot: hostSlot, strike: func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
			return s.hostDown(ctx, r, s.hostIn(r, false), true)
		}},
		{name: "host-power-cycled", share: 1, slot: hostSlot, strike: func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
			host := s.anyHost(r)
			return &blow{whom: host}, s.Admin.RebootHost(ctx, host)
		}},
		{name: "host-frozen", share: 1, slot: hostSlot, strike: func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
			host := s.anyHost(r)
			return s.lever(ctx, r, host, func(ctx context.Context, on bool) error { return s.Admin.FreezeHost(ctx, host, on) })
		}},
		{name: "host-isolated", share: 1, slot: hostSlot, strike: func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
			host := s.hostIn(r, true)
			return s.lever(ctx, r, host, func(ctx context.Context, on bool) error { return s.Admin.IsolateHost(ctx, host, on) })
		}},
		{name: "everything-loses-power", share: 1, slot: hostSlot, strike: loseAllPower},
	}
}

// lever holds a lever for a while. That it could be pulled is that it changed something.
func (s *storm) lever(ctx context.Context, r *rand.Rand, whom string, pull func(ctx context.Context, on bool) error) (*blow, error) {
	return &blow{whom: whom, lasts: between(r, 4*time.Second, 12*time.Second), end: func(ctx context.Context) (bool, error) {
		return true, pull(ctx, false)
	}}, pull(ctx, true)
}

// hostDown takes the power from a host, and gives it back later. What was on it may be
// declared lost meanwhile, as an administrator does who sees no other way.
func (s *storm) hostDown(ctx context.Context, r *rand.Rand, host string, declared bool) (*blow, error) {
	b := &blow{whom: host, lasts: between(r, 4*time.Second, 12*time.Second), end: func(ctx context.Context) (bool, error) {
		if err := s.Admin.HostUp(ctx, host); err != nil {
			return true, err
		}
		if declared {
			return true, s.declareLost(ctx, host, false)
		}
		return true, nil
	}}
	if err := s.Admin.HostDown(ctx, host); err != nil {
		return nil, err
	}
	if declared {
		b.whom += ", which is declared lost"
		return b, s.declareLost(ctx, host, true)
	}
	return b, nil
}

func (s *storm) declareLost(ctx context.Context, name string, gone bool) error {
	return s.patch(ctx, host(name), `{"spec":{"lost":%t}}`, gone)
}

func (s *storm) anyHost(r *rand.Rand) string { return hostName(r.IntN(clustered + standAlone)) }

// hostIn is a host of the failover cluster, or one that stands alone.
func (s *storm) hostIn(r *rand.Rand, cluster bool) string {
	if cluster {
		return hostName(r.IntN(clustered))
	}
	return hostName(clustered + r.IntN(standAlone))
}

func hostName(index int) string { return fmt.Sprintf("hv%d", index+1) }
