package wmifake

import (
	"fmt"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// States of a node.
const (
	nodeUp   = 0
	nodeDown = 1
)

// virtualMachineGroup is the type of a clustered role of a VM.
const virtualMachineGroup = 111

// cluster is a failover cluster: what every node of it sees alike.
type cluster struct{ graph }

func newCluster(w *World) *cluster {
	c := &cluster{graph{host: w.options.Cluster}}
	c.add(wmi.Cluster, "MSCluster_Cluster", w.options.Cluster, map[string]any{"Name": w.options.Cluster})
	for _, h := range w.hosts {
		c.add(wmi.Cluster, "MSCluster_Node", h.name, map[string]any{"Name": h.name, "State": int64(nodeUp)})
	}
	for _, v := range w.disk.volumes {
		csv := c.add(wmi.Cluster, "MSCluster_ClusterSharedVolume", v.root, map[string]any{"Name": v.root})
		partition := c.add(wmi.Cluster, "MSCluster_DiskPartition", v.root, map[string]any{"Path": v.root, "TotalSize": v.bytes >> 20})
		c.link("MSCluster_ClusterSharedVolumeToPartition", csv, partition)
	}
	// Every cluster has roles of its own.
	c.add(wmi.Cluster, "MSCluster_ResourceGroup", "core", map[string]any{
		"Name": "Cluster Group", "Id": "core", "IsCore": true, "OwnerNode": w.hosts[0].name, "State": int64(0),
	})
	return c
}

func (c *cluster) view(*host) *graph { return &c.graph }

// pass lets a volume or node be as it is by now.
func (c *cluster) pass(w *World, o *object) {
	switch {
	case o.class.Is("MSCluster_ClusterSharedVolume"):
		fault := int64(0)
		if w.disk.volume(o.text("Name")).faulty {
			fault = 2
		}
		o.set("FaultState", fault)
	case o.class.Is("MSCluster_DiskPartition"):
		o.set("FreeSpace", w.disk.volume(o.text("Path")).free(w.disk)>>20)
	case o.class.Is("MSCluster_Node"):
		state := int64(nodeUp)
		if w.node(o.text("Name")).down {
			state = nodeDown
		}
		o.set("State", state)
	}
}

func (c *cluster) group(name string) *object {
	for _, o := range c.of("MSCluster_ResourceGroup") {
		if strings.EqualFold(o.text("Name"), name) {
			return o
		}
	}
	return nil
}

func (c *cluster) addGroup(w *World, name, owner string, kind int64) *object {
	id := w.name("group")
	return c.add(wmi.Cluster, "MSCluster_ResourceGroup", id, map[string]any{
		"Name": name, "Id": id, "GroupType": kind, "OwnerNode": owner, "State": int64(1),
	})
}

func createGroup(c *call) error {
	name := c.text("GroupName")
	if name == "" || c.self != nil {
		return errBadIn
	}
	if c.world.cluster.group(name) != nil {
		return &wmi.Error{Doing: "create group " + name, Code: wmi.CodeObjectExists}
	}
	c.results["id"] = c.world.cluster.addGroup(c.world, name, c.host.name, c.number("GroupType")).text("Id")
	return nil
}

func destroyGroup(c *call) error {
	// 1 is none, 2 cleans up beside.
	if options := c.number("Options"); c.self == nil || c.self.get("IsCore") == true || options < 1 || options > 2 {
		return errBadIn
	}
	c.graph.remove(c.self)
	return nil
}

// addVirtualMachine makes a VM a role of the cluster, named as the VM is. It finds the VM by that name.
func addVirtualMachine(c *call) error {
	for _, h := range c.world.hosts {
		for _, v := range h.vms {
			if v.system.text("ElementName") != c.text("VirtualMachine") {
				continue
			}
			name := v.system.text("ElementName")
			if c.world.cluster.group(name) != nil {
				return &wmi.Error{Doing: "add VM " + name, Code: wmi.CodeObjectExists}
			}
			if h.down {
				break
			}
			for _, path := range v.disks() {
				if c.world.disk.volume(path) == nil {
					return fmt.Errorf("%s lies on no cluster shared volume", path)
				}
			}
			c.world.cluster.addGroup(c.world, name, h.name, virtualMachineGroup)
			return nil
		}
	}
	return &wmi.Error{Doing: "add VM " + c.text("VirtualMachine"), Code: wmi.CodeNotFound}
}

// take moves a VM here from another node.
func (h *host) take(from *host, v *vm) {
	h.move(&from.graph, v.objects()...)
	from.vms = slices.DeleteFunc(from.vms, func(other *vm) bool { return other == v })
	h.vms = append(h.vms, v)
}
