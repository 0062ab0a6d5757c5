package lbapi

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/capstan-k8s/capstan/internal/lbapi/lbpb"
)

// MaxMessage is what a plan or a status may measure on the wire, in bytes.
const MaxMessage = 32 << 20

// PlanToProto returns the plan as it travels.
func PlanToProto(p Plan) *lbpb.Plan {
	return &lbpb.Plan{
		Generation: p.Generation,
		Cluster:    p.Cluster,
		Self:       p.Self,
		Vips: each(p.VIPs, func(v VIP) *lbpb.VIP {
			return &lbpb.VIP{Address: v.Address, Network: v.Network, Interface: v.Interface, Vrid: v.VRID}
		}),
		Peers: each(p.Peers, func(p Peer) *lbpb.Peer {
			return &lbpb.Peer{Name: p.Name, Address: p.Address, Priority: p.Priority}
		}),
		Frontends: each(p.Frontends, func(f Frontend) *lbpb.Frontend {
			return &lbpb.Frontend{
				Name: f.Name, Vip: f.VIP, Port: f.Port, Protocol: string(f.Protocol),
				AllowedSources: each(f.AllowedSources, same),
				Backends: each(f.Backends, func(b Backend) *lbpb.Backend {
					return &lbpb.Backend{Name: b.Name, Address: b.Address, Port: b.Port, Drain: b.Drain}
				}),
				Check: &lbpb.Check{
					Kind: string(f.Check.Kind), Path: f.Check.Path, Port: f.Check.Port, ServerName: f.Check.ServerName, Ca: f.Check.CA,
					Interval: durationpb.New(f.Check.Interval), Timeout: durationpb.New(f.Check.Timeout),
					Rise: f.Check.Rise, Fall: f.Check.Fall,
				},
			}
		}),
	}
}

// PlanFromProto returns the plan that came. It takes anything: whether the plan
// is any good is for Validate to say.
func PlanFromProto(p *lbpb.Plan) Plan {
	return Plan{
		Generation: p.GetGeneration(),
		Cluster:    p.GetCluster(),
		Self:       p.GetSelf(),
		VIPs: each(p.GetVips(), func(v *lbpb.VIP) VIP {
			return VIP{Address: v.GetAddress(), Network: v.GetNetwork(), Interface: v.GetInterface(), VRID: v.GetVrid()}
		}),
		Peers: each(p.GetPeers(), func(p *lbpb.Peer) Peer {
			return Peer{Name: p.GetName(), Address: p.GetAddress(), Priority: p.GetPriority()}
		}),
		Frontends: each(p.GetFrontends(), func(f *lbpb.Frontend) Frontend {
			c := f.GetCheck()
			return Frontend{
				Name: f.GetName(), VIP: f.GetVip(), Port: f.GetPort(), Protocol: Protocol(f.GetProtocol()),
				AllowedSources: each(f.GetAllowedSources(), same),
				Backends: each(f.GetBackends(), func(b *lbpb.Backend) Backend {
					return Backend{Name: b.GetName(), Address: b.GetAddress(), Port: b.GetPort(), Drain: b.GetDrain()}
				}),
				Check: Check{
					Kind: CheckKind(c.GetKind()), Path: c.GetPath(), Port: c.GetPort(), ServerName: c.GetServerName(), CA: c.GetCa(),
					Interval: c.GetInterval().AsDuration(), Timeout: c.GetTimeout().AsDuration(),
					Rise: c.GetRise(), Fall: c.GetFall(),
				},
			}
		}),
	}
}

// StatusToProto returns the status as it travels.
func StatusToProto(s Status) *lbpb.Status {
	return &lbpb.Status{
		Name: s.Name, Generation: s.Generation, Hash: s.Hash, Applied: timeToProto(s.Applied),
		Vips: each(s.VIPs, func(v VIPStatus) *lbpb.VIPStatus {
			return &lbpb.VIPStatus{Address: v.Address, Role: string(v.Role), Since: timeToProto(v.Since)}
		}),
		Peers: each(s.Peers, func(p PeerStatus) *lbpb.PeerStatus {
			return &lbpb.PeerStatus{Name: p.Name, Address: p.Address, Silent: p.Silent}
		}),
		Backends: each(s.Backends, func(b BackendStatus) *lbpb.BackendStatus {
			return &lbpb.BackendStatus{
				Frontend: b.Frontend, Backend: b.Backend, Health: string(b.Health), Since: timeToProto(b.Since),
				Draining: b.Draining, Sessions: b.Sessions, Message: b.Message,
			}
		}),
		BackendsLeftOut: s.BackendsLeftOut,
		Versions:        s.Versions,
		Messages:        each(s.Messages, same),
	}
}

// StatusFromProto returns the status that came. A role or health that is not
// known here is kept as it is: a newer agent may know more of them.
func StatusFromProto(s *lbpb.Status) Status {
	return Status{
		Name: s.GetName(), Generation: s.GetGeneration(), Hash: s.GetHash(), Applied: timeFromProto(s.GetApplied()),
		VIPs: each(s.GetVips(), func(v *lbpb.VIPStatus) VIPStatus {
			return VIPStatus{Address: v.GetAddress(), Role: Role(v.GetRole()), Since: timeFromProto(v.GetSince())}
		}),
		Peers: each(s.GetPeers(), func(p *lbpb.PeerStatus) PeerStatus {
			return PeerStatus{Name: p.GetName(), Address: p.GetAddress(), Silent: p.GetSilent()}
		}),
		Backends: each(s.GetBackends(), func(b *lbpb.BackendStatus) BackendStatus {
			return BackendStatus{
				Frontend: b.GetFrontend(), Backend: b.GetBackend(), Health: Health(b.GetHealth()), Since: timeFromProto(b.GetSince()),
				Draining: b.GetDraining(), Sessions: b.GetSessions(), Message: b.GetMessage(),
			}
		}),
		BackendsLeftOut: s.GetBackendsLeftOut(),
		Versions:        s.GetVersions(),
		Messages:        each(s.GetMessages(), same),
	}
}

func each[A, B any](in []A, convert func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i := range in {
		out[i] = convert(in[i])
	}
	return out
}

func same[T any](v T) T { return v }

// The zero time is left out: it would travel as the year 1 and come back in
// another form.
func timeToProto(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeFromProto(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
