package machinectr

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// parts is everything that bears the stamp of one VM.
type parts struct {
	id     hostapi.VMID
	claim  *claim
	config *config
	disks  []foundDisk
	seeds  []foundSeed
	// unmade are folders that were being made, faults what is wrong with the
	// volumes on which more may lie.
	unmade []string
	faults map[string]hostapi.VolumeFault
	guest  guest
}

type foundDisk struct {
	volume Volume
	folder string
	record disk
	// fileBytes is -1 if the record has no file.
	fileBytes int64
}

type foundSeed struct {
	volume Volume
	folder string
	record seed
}

func (d *Driver) parts(ctx context.Context, op string, id hostapi.VMID) (*parts, error) {
	if err := ctx.Err(); err != nil {
		return nil, typed(op, "", "look for VM "+string(id), err)
	}
	p := &parts{id: id, faults: map[string]hostapi.VolumeFault{}}
	if name := string(id); name == "" || name != filepath.Base(name) || name[0] == '.' {
		return p, nil
	}
	var err error
	if p.claim, err = getJSON[claim](d.claimPath(id)); err != nil {
		return nil, typed(op, "", "read the claim of VM "+string(id), err)
	}
	if p.config, err = getJSON[config](d.configPath(id)); err != nil {
		return nil, typed(op, "", "read the configuration of VM "+string(id), err)
	}
	for _, v := range d.Volumes {
		fault := d.fault(v)
		if fault == hostapi.VolumeHealthy {
			err = p.readVolume(v)
		} else {
			err = nil
			p.faults[v.Name] = fault
		}
		if err != nil {
			return nil, typed(op, v.Name, "look for the files of VM "+string(id)+" on volume "+v.Name, err)
		}
	}
	if p.guest, err = d.look(id); err != nil {
		return nil, typed(op, "", "look at the guest of VM "+string(id), err)
	}
	return p, nil
}

// readVolume adds what a volume has of the VM. What bears no stamp is not seen.
func (p *parts) readVolume(v Volume) error {
	entries, err := names(v.vm(p.id))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		folder := filepath.Join(v.vm(p.id), entry)
		name, isDisk := strings.CutSuffix(entry, diskSuffix)
		switch {
		case strings.HasSuffix(entry, partial):
			p.unmade = append(p.unmade, folder)
		case entry == seedFolder:
			record, err := getJSON[seed](filepath.Join(folder, seedRecord))
			if err != nil {
				return err
			}
			if record != nil && record.Stamp.ID == p.id {
				p.seeds = append(p.seeds, foundSeed{v, folder, *record})
			}
		case isDisk:
			record, err := getJSON[disk](filepath.Join(folder, diskRecord))
			if err != nil {
				return err
			}
			if record != nil && record.Stamp.ID == p.id && record.Name == name {
				p.disks = append(p.disks, foundDisk{v, folder, *record, fileBytes(filepath.Join(folder, diskFile))})
			}
		}
	}
	return nil
}

// fileBytes is what a sparse file takes, or -1 if it is not there.
func fileBytes(path string) int64 {
	var stat syscall.Stat_t
	if syscall.Stat(path, &stat) != nil {
		return -1
	}
	return stat.Blocks * 512
}

// foreign tells whether a stamp is none.
func foreign(s hostapi.Stamp) bool { return s.Installation == "" }

// stamp returns the stamp of what there is. None means that there is no VM.
func (p *parts) stamp() hostapi.Stamp {
	var stamps []hostapi.Stamp
	if p.config != nil {
		stamps = append(stamps, p.config.Stamp)
	}
	for _, f := range p.disks {
		stamps = append(stamps, f.record.Stamp)
	}
	for _, f := range p.seeds {
		stamps = append(stamps, f.record.Stamp)
	}
	if p.claim != nil {
		stamps = append(stamps, p.claim.Stamp)
	}
	for _, s := range stamps {
		if !foreign(s) {
			return s
		}
	}
	return hostapi.Stamp{}
}

func (p *parts) none() bool { return foreign(p.stamp()) }

// checkOwned tells whether every part is the caller's.
func (p *parts) checkOwned(op string, stamp hostapi.Stamp) error {
	theirs := func(s hostapi.Stamp) bool { return s.Installation != stamp.Installation }
	var what string
	switch {
	case p.claim != nil && theirs(p.claim.Stamp):
		what = "the claim"
	case p.config != nil && theirs(p.config.Stamp):
		what = "the configuration"
	case slices.ContainsFunc(p.disks, func(f foundDisk) bool { return theirs(f.record.Stamp) }):
		what = "a disk"
	case slices.ContainsFunc(p.seeds, func(f foundSeed) bool { return theirs(f.record.Stamp) }):
		what = "the seed"
	default:
		return nil
	}
	return hostapi.Errorf(hostapi.NotOwned, op, "", "%s of VM %s is not of installation %s", what, p.id, stamp.Installation)
}

// disk returns the disk of a name on a volume, or nil.
func (p *parts) disk(name, volume string) *foundDisk {
	if i := slices.IndexFunc(p.disks, func(f foundDisk) bool { return f.record.Name == name && f.volume.Name == volume }); i >= 0 {
		return &p.disks[i]
	}
	return nil
}

// lost returns a disk of the configuration that cannot be read, or nil.
func (p *parts) lost() *hostapi.Disk {
	if p.config == nil {
		return nil
	}
	for _, want := range p.config.Disks {
		if have := p.disk(want.Name, want.Volume); have == nil || have.fileBytes < 0 {
			return &want
		}
	}
	return nil
}

func (d *Driver) describe(ctx context.Context, p *parts) hostapi.VM {
	out := hostapi.VM{
		Stamp: p.stamp(), Host: d.Host, State: p.state(), Heartbeat: p.guest.heartbeat(), SeedAttached: len(p.seeds) > 0,
	}
	for _, f := range p.disks {
		out.Disks = append(out.Disks, hostapi.DiskStatus{
			Name: f.record.Name, Volume: f.volume.Name, Path: filepath.Join(f.folder, diskFile), Bytes: f.record.Bytes,
			FileBytes: max(f.fileBytes, 0),
		})
	}
	c := p.config
	if c == nil {
		return out
	}
	out.Name, out.Owner, out.Processors, out.MemoryMiB = c.Name, c.Owner, c.Processors, c.MemoryMiB
	for _, want := range c.Disks {
		if p.disk(want.Name, want.Volume) == nil {
			out.Disks = append(out.Disks, hostapi.DiskStatus{Name: want.Name, Volume: want.Volume, Path: d.diskPath(p.id, want), Bytes: want.Bytes})
		}
	}
	place := func(s hostapi.DiskStatus) int {
		i := slices.IndexFunc(c.Disks, func(want hostapi.Disk) bool { return want.Name == s.Name && want.Volume == s.Volume })
		if i < 0 {
			return len(c.Disks)
		}
		return i
	}
	slices.SortStableFunc(out.Disks, func(a, b hostapi.DiskStatus) int { return cmp.Compare(place(a), place(b)) })
	addresses := p.guest.addresses(ctx)
	for _, nic := range c.NICs {
		out.NICs = append(out.NICs, hostapi.NICStatus{MAC: nic.MAC, Addresses: addresses[nic.MAC]})
	}
	out.Console = consoleOf(d.runPath(p.id))
	return out
}

func (d *Driver) diskPath(id hostapi.VMID, want hostapi.Disk) string {
	for _, v := range d.Volumes {
		if v.Name == want.Volume {
			return filepath.Join(v.disk(id, want.Name), diskFile)
		}
	}
	return ""
}

func (p *parts) state() hostapi.State {
	switch {
	case p.config == nil || foreign(p.config.Stamp):
		return hostapi.StatePartial
	case p.lost() != nil:
		return hostapi.StateFailed
	case !p.guest.on:
		return hostapi.StateOff
	case p.guest.init == 0:
		return hostapi.StateStarting
	}
	return hostapi.StateRunning
}
