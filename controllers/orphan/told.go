package orphan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// judged tells whether it is known what a place holds.
func judged(p *census.Place) bool {
	reason, _ := p.Unsettled()
	return reason == ""
}

// volumesOf are the volumes of a VM's disks.
func volumesOf(vm *hostapi.VM) []string {
	var volumes []string
	for _, disk := range vm.Disks {
		volumes = append(volumes, disk.Volume)
	}
	slices.Sort(volumes)
	volumes = slices.Compact(volumes)
	return volumes[:min(len(volumes), mostVolumes)]
}

// byAge puts what was found first first.
func byAge(a, b *orphan) int {
	return cmp.Or(a.entry.FirstSeen.Compare(b.entry.FirstSeen.Time), strings.Compare(a.entry.ID, b.entry.ID))
}
