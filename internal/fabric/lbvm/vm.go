package lbvm

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/capstan-k8s/capstan/internal/fabric/guest/seed"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/netlab"
	"github.com/capstan-k8s/capstan/internal/netlab/lbnode"
)

// maxConnections is what HAProxy of a simulated VM carries.
const maxConnections = 2000

// Machine is a load-balancer VM that boots.
type Machine struct {
	// ID is unique among those that are on.
	ID   string
	NICs []seed.NIC
	// Dir is a folder on its disk, for it alone.
	Dir    string
	Config lbapi.LBConfig
}

// Start boots a VM. Taking its power is all that ends it: no program in it can say
// goodbye, and when it is removed, none is left.
func (n *Network) Start(m Machine) (_ Attachment, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("start load-balancer VM %s: %w", m.Config.Name, err)
		}
	}()
	config, err := m.Config.Marshal()
	if err != nil {
		return nil, err
	}
	if len(m.NICs) != 1 {
		return nil, fmt.Errorf("it has %d NICs, and one is simulated", len(m.NICs))
	}
	if err := n.connect(m.NICs); err != nil {
		return nil, err
	}
	disk, err := filepath.Abs(m.Dir)
	if err != nil {
		return nil, err
	}
	node, err := n.lab.Add(netlab.NodeOptions{Name: m.ID, Addresses: addresses(m.NICs), MAC: m.NICs[0].MAC, Disk: disk})
	if err != nil {
		return nil, err
	}
	if err := lbnode.Start(node, lbnode.Options{Programs: n.programs, Config: config, MaxConnections: maxConnections}); err != nil {
		return nil, errors.Join(err, node.Remove())
	}
	return vm{node, m.Config.Name}, nil
}

// vm is a VM that is on.
type vm struct {
	*netlab.Node
	name string
}

// String implements fmt.Stringer.
func (v vm) String() string { return v.name }

// Link implements Attachment.
func (v vm) Link(up bool) error {
	if up {
		return v.Uncut()
	}
	return v.Cut()
}
