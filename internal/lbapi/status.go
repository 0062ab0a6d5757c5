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
	Applied  time.Time         `json:"applied,omitzero"`
	VIPs     []VIPStatus       `json:"vips,omitempty"`
	Backends []BackendStatus   `json:"backends,omitempty"`
	Versions map[string]string `json:"versions,omitempty"`
	// Messages say what is not as it should be, one line each.
	Messages []string `json:"messages,omitempty"`
}

// VIPStatus is the role of the VM for one VIP.
type VIPStatus struct {
	Address string    `json:"address"`
	Role    Role      `json:"role"`
	Since   time.Time `json:"since"`
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
