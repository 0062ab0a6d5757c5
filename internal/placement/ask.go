package placement

import (
	"fmt"
	"slices"
)

// ask is a request with its names looked up.
type ask struct {
	Request

	oneVolume bool
	// company tells that another member of the group has a place.
	company  bool
	group    int32
	domain   int32
	switches []int32
	// lead is what the first volume must take: all disks if they go to one volume,
	// the boot disk otherwise.
	lead need
	// meanBytes is the size of a disk on average, this VM's among them.
	meanBytes float64
	// excluded are scopes that turned out not to have room for all disks.
	excluded []int32
}

// need is what is asked of one volume.
type need struct {
	// name is for people: the disk's, or how many disks.
	name  string
	bytes int64
	disks int64
	image *Image
	// number is the image's, -1 for one that no volume has.
	number int32
	// only and except are the volumes that are asked for, and those that are not.
	only, except []string
	apart        bool
}

// staging is what bringing the image to the volume takes.
func (n *need) staging(v *volume) int64 {
	if n.image == nil || n.staged(v) {
		return 0
	}
	return n.image.Bytes
}

func (n *need) staged(v *volume) bool {
	return n.image == nil || n.number >= 0 && slices.Contains(v.images, n.number)
}

func (p *Planner) ask(req Request) (*ask, error) {
	if problem := invalid(req); problem != "" {
		return nil, &Unplaceable{Reason: InvalidRequest, Message: "placement request of VM " + req.VM + ": " + problem}
	}
	a := &ask{Request: req, oneVolume: req.Role.oneVolume(), group: p.group(req.Group), domain: -1}
	if req.FailureDomain != "" {
		a.domain = int32(slices.Index(p.domains, req.FailureDomain))
	}
	for _, s := range req.Switches {
		a.switches = append(a.switches, p.switches.lookUp(s))
	}
	a.lead = p.need(&req, req.Disks[:1])
	if a.oneVolume {
		a.lead = p.need(&req, req.Disks)
	}
	return a, nil
}

// need sums up disks that go to one volume. At most one image is supported
// among them, which invalid has made sure of.
func (p *Planner) need(req *Request, disks []Disk) need {
	n := need{
		name: "disk " + disks[0].Name, disks: int64(len(disks)), number: -1,
		only: req.Volumes, except: req.ExcludedVolumes, apart: req.Apart,
	}
	if len(disks) > 1 {
		n.name = fmt.Sprintf("%d disks on one volume", len(disks))
	}
	for _, d := range disks {
		n.bytes += d.Bytes
		if d.Image != nil {
			n.image, n.number = d.Image, p.images.lookUp(d.Image.SHA256)
		}
	}
	return n
}

func invalid(req Request) string {
	switch {
	case req.VM == "":
		return "VM is empty"
	case req.Role != ControlPlane && req.Role != LoadBalancer && req.Role != Worker:
		return fmt.Sprintf("role %q is unknown", req.Role)
	case req.Processors <= 0:
		return "processors must be at least 1"
	case req.MemoryMiB <= 0 || req.MemoryMiB > most:
		return "memory is out of range"
	case len(req.Disks) == 0:
		return "there is no disk"
	case !(req.SpreadWeight >= 0 && req.SpreadWeight <= 1):
		return "spread weight is out of range"
	}
	for _, r := range req.HostLabels {
		if r.Operator != In && r.Operator != NotIn && r.Operator != Exists && r.Operator != DoesNotExist {
			return fmt.Sprintf("operator %q of label %q is unknown", r.Operator, r.Key)
		}
	}
	images := 0
	for i, d := range req.Disks {
		if d.Bytes <= 0 || d.Bytes > most {
			return fmt.Sprintf("size of disk %q is out of range", d.Name)
		}
		if slices.ContainsFunc(req.Disks[:i], func(o Disk) bool { return o.Name == d.Name }) {
			return fmt.Sprintf("there are two disks %q", d.Name)
		}
		if d.Image == nil {
			continue
		}
		if images++; images > 1 {
			return "more than one disk has an image"
		}
		if d.Image.SHA256 == "" || d.Image.Bytes < 0 || d.Image.Bytes > most {
			return fmt.Sprintf("image of disk %q has no checksum or its size is out of range", d.Name)
		}
	}
	return ""
}
