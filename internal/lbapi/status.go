package lbapi

import (
	"slices"
	"time"
)

// Role is what a peer is for a VIP.
type Role string

// Roles of a peer.
const (
	// RoleActive holds the VIP.
	RoleActive Role = "Active"
	// RoleStandby would take the VIP.
	RoleStandby Role = "Standby"
	// RoleFault can neither hold nor take the VIP.
	RoleFault Role = "Fault"
)

// Health is what the check of a backend says.
type Health string

// Healths of a backend.
const (
	HealthUnknown Health = "Unknown"
	HealthUp      Health = "Up"
	HealthDown    Health = "Down"
)

// Status is what a load-balancer VM reports of itself.
type Status struct {
	// Name is the VM's name.
	Name string `json:"name"`
	// Generation and Hash are of the plan in force; 0 and empty before the first.
	Generation int64  `json:"generation"`
	Hash       string `json:"hash,omitempty"`
	// Applied is since when the plan is in force.
	Applied time.Time   `json:"applied,omitzero"`
	VIPs    []VIPStatus `json:"vips,omitempty"`
	// Peers are the other VMs of the plan that this one has listened for.
	Peers []PeerStatus `json:"peers,omitempty"`
	// Backends are the plan's, or the worst of them: see WithFewBackends.
	Backends []BackendStatus `json:"backends,omitempty"`
	// BackendsLeftOut is how many more there are, none of them worse.
	BackendsLeftOut int32             `json:"backendsLeftOut,omitempty"`
	Versions        map[string]string `json:"versions,omitempty"`
	// Messages say what is not as it should be, one line each.
	Messages []string `json:"messages,omitempty"`
}

// MaxBackendsTold is how many backends a status tells of. A plan has one for each port
// on each node, and a status travels whenever any of them changes.
const MaxBackendsTold = 256

// WithFewBackends returns the status with those backends alone that matter most, in the
// order in which they were: first those that are down, then those of which nothing is
// known, then the others. It is the same status where they are few anyway.
func (s Status) WithFewBackends() Status {
	left := MaxBackendsTold
	if len(s.Backends) <= left {
		return s
	}
	told := map[Health]int{}
	for _, b := range s.Backends {
		told[rank(b.Health)]++
	}
	for _, health := range []Health{HealthDown, HealthUnknown, HealthUp} {
		told[health] = min(told[health], left)
		left -= told[health]
	}
	all := s.Backends
	s.Backends = make([]BackendStatus, 0, MaxBackendsTold)
	for _, b := range all {
		if health := rank(b.Health); told[health] > 0 {
			told[health]--
			s.Backends = append(s.Backends, b)
		}
	}
	s.BackendsLeftOut += int32(len(all) - len(s.Backends))
	return s
}

// rank takes a health that is not known here for an unknown one.
func rank(h Health) Health {
	if h == HealthDown || h == HealthUp {
		return h
	}
	return HealthUnknown
}

// VIPStatus is the role of the VM for one VIP.
type VIPStatus struct {
	Address string    `json:"address"`
	Role    Role      `json:"role"`
	Since   time.Time `json:"since"`
}

// PeerStatus is whether another VM of the load balancer is there, as this VM sees it.
type PeerStatus struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	// Silent tells that nobody answers at its address, not even by a refusal.
	Silent bool `json:"silent,omitempty"`
}

// BackendStatus is the health of one backend as this VM sees it.
type BackendStatus struct {
	Frontend string    `json:"frontend"`
	Backend  string    `json:"backend"`
	Health   Health    `json:"health"`
	Since    time.Time `json:"since"`
	// Draining tells that the backend gets no new connections.
	Draining bool `json:"draining,omitempty"`
	// Sessions is how many connections it has now.
	Sessions int64 `json:"sessions,omitempty"`
	// Message is the last failure of its check.
	Message string `json:"message,omitempty"`
}

// Hello is how a load-balancer VM introduces itself.
type Hello struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Protocols are the protocol versions spoken, newest last.
	Protocols []int32 `json:"protocols"`
}

// protocols are the protocol versions that this code speaks, newest last.
var protocols = []int32{1}

// Protocols returns the protocol versions that this code speaks, newest last.
func Protocols() []int32 { return slices.Clone(protocols) }

// CommonProtocol returns the newest protocol version that both this code and a
// peer speak.
func CommonProtocol(peer []int32) (version int32, ok bool) {
	for _, v := range protocols {
		if slices.Contains(peer, v) && v > version {
			version, ok = v, true
		}
	}
	return version, ok
}
