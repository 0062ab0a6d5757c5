package onlooker

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// Doubles are what there must never be two of in all the world: VMs and disks of one
// identity, MAC addresses, and addresses of guests that run.
func Doubles(w fabricapi.World) []string {
	holders := map[string][]string{}
	hold := func(what, holder string) { holders[what] = append(holders[what], holder) }
	for _, site := range w.Sites {
		for i := range site.VMs {
			vm := &site.VMs[i]
			holder := nameOf(vm)
			if vm.Stamp != nil {
				hold("identity "+vm.Stamp.ID, holder)
			}
			for _, nic := range vm.NICs {
				hold("MAC "+nic.MAC, holder)
				for _, address := range nic.Addresses {
					hold("address "+address, holder)
				}
			}
		}
		for i := range site.Files {
			if file := &site.Files[i]; file.Stamp != nil {
				hold(fmt.Sprintf("%s %s of identity %s", file.Kind, file.Label, file.Stamp.ID), file.Volume+": "+file.Path)
			}
		}
	}
	var found []string
	for _, what := range slices.Sorted(maps.Keys(holders)) {
		if many := holders[what]; len(many) > 1 {
			slices.Sort(many)
			found = append(found, what+" is held by "+strings.Join(many, " and "))
		}
	}
	return found
}

// Unstamped are VMs that bear no stamp: made by people or, where nobody is, by a driver
// that forgot it.
func Unstamped(w fabricapi.World) []string {
	var found []string
	for _, site := range w.Sites {
		for i := range site.VMs {
			if site.VMs[i].Stamp == nil {
				found = append(found, nameOf(&site.VMs[i])+" bears no stamp")
			}
		}
	}
	return found
}

func nameOf(vm *fabricapi.VM) string { return fmt.Sprintf("VM %s (%s)", vm.Name, vm.GUID) }

// Identities are those of VMs, files and claims, each with one of its bearers.
func Identities(w fabricapi.World) map[string]string {
	seen := map[string]string{}
	add := func(stamp *fabricapi.Stamp, what string) {
		if stamp != nil {
			seen[stamp.ID] = what
		}
	}
	for _, site := range w.Sites {
		for _, vm := range site.VMs {
			add(vm.Stamp, "VM "+vm.Name)
		}
		for _, file := range site.Files {
			add(file.Stamp, string(file.Kind)+" "+file.Path)
		}
		for _, role := range site.Roles {
			add(role.Stamp, "claim "+role.Name)
		}
	}
	return seen
}

// Summary is different whenever an effect on the hosts is.
func Summary(w fabricapi.World) string {
	var b strings.Builder
	for _, site := range w.Sites {
		for i := range site.VMs {
			vm := &site.VMs[i]
			fmt.Fprintln(&b, vm.GUID, vm.State, len(vm.Disks), len(vm.NICs), vm.ISO != nil, vm.Heartbeat)
		}
		for i := range site.Files {
			fmt.Fprintln(&b, site.Files[i].ID, site.Files[i].Path, site.Files[i].Image != nil && site.Files[i].FileBytes < site.Files[i].Image.TotalBytes)
		}
		for _, role := range site.Roles {
			fmt.Fprintln(&b, role.Name, role.Node, role.Volumes)
		}
	}
	return b.String()
}
