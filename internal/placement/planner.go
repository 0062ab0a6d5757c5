package placement

import (
	"cmp"
	"slices"
)

// Planner holds a snapshot in a form in which many VMs are placed quickly, one
// after the other. It is not safe for concurrent use.
type Planner struct {
	policy  Policy
	hosts   []host
	volumes []volume
	scopes  []scope
	domains []string

	hostByName   map[string]int32
	volumeByName map[volumeKey]int32
	switches     names
	images       names
	groups       names
	members      [][]string // of each group, the VMs
	placed       map[string]*placed
	// disks and bytes are those of all placements.
	disks, bytes int64

	// How many members of the group at hand are where. All zero between two
	// decisions.
	onDomain, onHost, onVolume []int32
	// redirected tells that some volume is.
	redirected bool
	work       candidates
}

type host struct {
	name          string
	index         int32
	scope         int32
	domain        int32
	unschedulable Unschedulable
	known         bool
	processors    int64
	// maxProcessors is what all VMs together may have.
	maxProcessors  int64
	usedProcessors int64
	memory         int64
	// usable is what the host has for VMs in all.
	usable int64
	// unplaced is what the placements leave, unreported what the host reports as
	// free less what it does not know of yet.
	unplaced, unreported int64
	switches             []int32
	labels               map[string]string
}

// freeMemory is what a new VM can have.
func (h *host) freeMemory() int64 { return min(h.unplaced, h.unreported) }

type volume struct {
	name        string
	index       int32
	scope       int32
	fault       VolumeFault
	bytes       int64
	limit       int64
	provisioned int64
	free        int64
	reserve     int64
	// disks and ours count the disks of placements and their bytes.
	disks, ours int64
	// share is one disk in proportion to the volume's size, so that a volume of
	// double size takes double the disks.
	share  float64
	images []int32
}

type scope struct {
	hosts, volumes []int32
	failover       bool
	// spare is the memory that may be given out in a failover cluster before what is
	// kept for the loss of a host is touched.
	spare int64
	// disks count those of placements on all its volumes, whose size is bytes.
	disks, bytes int64
}

type volumeKey struct {
	scope int32
	name  string
}

// placed is a placement with its names looked up. A host or volume that the
// snapshot does not have is -1.
type placed struct {
	host       int32
	group      int32
	processors int64
	memory     int64
	inFlight   bool
	disks      []placedDisk
}

type placedDisk struct {
	volume int32
	bytes  int64
	// staging is what bringing the image takes besides.
	staging int64
	image   int32
}

// names gives strings small numbers, so that the inner loops compare numbers.
type names map[string]int32

func (n names) number(s string) int32 {
	i, ok := n[s]
	if !ok {
		i = int32(len(n))
		n[s] = i
	}
	return i
}

func (n names) lookUp(s string) int32 {
	if i, ok := n[s]; ok {
		return i
	}
	return -1
}

// NewPlanner reads a snapshot. Of hosts or volumes that are listed twice the
// first one counts, in the order of their names.
func NewPlanner(snap Snapshot) *Planner {
	p := &Planner{
		policy:       snap.Policy.withDefaults(),
		hostByName:   make(map[string]int32, len(snap.Hosts)),
		volumeByName: make(map[volumeKey]int32, len(snap.Volumes)),
		switches:     names{},
		images:       names{},
		groups:       names{},
		placed:       make(map[string]*placed, len(snap.Placements)),
	}
	scopes, domains := names{}, names{}
	for _, h := range sorted(snap.Hosts, func(a, b Host) int { return cmp.Compare(a.Name, b.Name) }) {
		p.addHost(h, scopes, domains)
	}
	for _, v := range sorted(snap.Volumes, func(a, b Volume) int {
		return cmp.Or(cmp.Compare(a.FailoverCluster, b.FailoverCluster), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Name, b.Name))
	}) {
		p.addVolume(v, scopes)
	}
	p.onDomain = make([]int32, len(p.domains))
	p.onHost = make([]int32, len(p.hosts))
	p.onVolume = make([]int32, len(p.volumes))
	p.work.prepare(p)
	for i := range snap.Placements {
		p.addPlacement(&snap.Placements[i])
	}
	return p
}

// sorted is stable, so that of equal names the first listed stays first.
func sorted[T any](in []T, compare func(a, b T) int) []T {
	out := slices.Clone(in)
	slices.SortStableFunc(out, compare)
	return out
}

func scopeName(failoverCluster, host string) string {
	if failoverCluster != "" {
		return "cluster/" + failoverCluster
	}
	return "host/" + host
}

func (p *Planner) addHost(in Host, scopes, domains names) {
	if _, double := p.hostByName[in.Name]; double {
		return
	}
	h := host{
		name:          in.Name,
		scope:         scopes.number(scopeName(in.FailoverCluster, in.Name)),
		domain:        domains.number(in.FailureDomain),
		unschedulable: in.Unschedulable,
		known:         in.MemoryMiB > 0,
		processors:    int64(max(in.Processors, 0)),
		memory:        bounded(in.MemoryMiB),
		labels:        in.Labels,
	}
	h.maxProcessors = scaled(h.processors, p.policy.ProcessorOvercommit)
	h.unplaced = h.memory - bounded(in.ReservedMiB)
	h.usable = max(h.unplaced, 0)
	h.unreported = h.unplaced
	if in.FreeMiB > 0 {
		h.unreported = bounded(in.FreeMiB) - bounded(in.ReservedMiB)
	}
	for _, s := range in.Switches {
		h.switches = append(h.switches, p.switches.number(s))
	}
	index := int32(len(p.hosts))
	h.index = index
	p.hostByName[in.Name] = index
	p.hosts = append(p.hosts, h)
	if int(h.scope) == len(p.scopes) {
		p.scopes = append(p.scopes, scope{failover: in.FailoverCluster != ""})
	}
	if int(h.domain) == len(p.domains) {
		p.domains = append(p.domains, in.FailureDomain)
	}
	p.scopes[h.scope].hosts = append(p.scopes[h.scope].hosts, index)
}

func (p *Planner) addVolume(in Volume, scopes names) {
	at := scopes.lookUp(scopeName(in.FailoverCluster, in.Host))
	if at < 0 {
		return // no host reaches it
	}
	key := volumeKey{at, in.Name}
	if _, double := p.volumeByName[key]; double {
		return
	}
	v := volume{
		name:        in.Name,
		scope:       at,
		fault:       in.Fault,
		bytes:       bounded(in.Bytes),
		provisioned: bounded(in.ProvisionedBytes),
		free:        bounded(in.FreeBytes),
	}
	v.limit = scaled(v.bytes, p.policy.StorageOvercommit)
	v.reserve = scaled(v.bytes, p.policy.FreeReserve)
	v.share = 1 / float64(max(v.bytes, 1))
	for _, sha := range in.Images {
		v.images = append(v.images, p.images.number(sha))
	}
	p.redirected = p.redirected || v.fault == VolumeRedirected
	index := int32(len(p.volumes))
	v.index = index
	p.volumeByName[key] = index
	p.volumes = append(p.volumes, v)
	p.scopes[at].volumes = append(p.scopes[at].volumes, index)
	p.scopes[at].bytes += v.bytes
}

// most bounds every amount, a PiB, so that sums over thousands of VMs do not run
// over whatever a snapshot says.
const most = int64(1) << 50

func bounded(n int64) int64 { return max(min(n, most), 0) }

func scaled(n int64, factor float64) int64 {
	return int64(min(float64(n)*factor, float64(most)))
}
