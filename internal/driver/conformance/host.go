package conformance

import (
	"strings"
	"testing"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Host is a fresh host, with nothing on it, and the driver under test. A harness
// fails its test itself when something goes wrong that is not the driver's.
type Host interface {
	// Driver returns the driver as it runs now.
	Driver() hostapi.Driver
	// Restart kills the driver and starts it again. Nothing on the host notices.
	Restart()
	// Site tells what there is to work with.
	Site() Site
	// AwaitGuest returns once the guest of a VM that was started answers.
	AwaitGuest(id hostapi.VMID)
	// Contents has a sorted line, with the VM's ID where there is one, for everything on the host that somebody made,
	// read past the driver: VMs with their settings and power, disks, seeds,
	// images and claims, half-made ones too. Equal contents have equal lines, so
	// nothing random and no host's name is in them.
	Contents() []string
	// Lacks says which abilities the harness has not, and why.
	Lacks() map[Ability]string
}

// Site is what a host has.
type Site struct {
	// Volumes are two at least, empty and healthy.
	Volumes []string
	Switch  string
	// Image is published at Source, and staged nowhere. It has Bytes.
	Image  hostapi.ImageRef
	Source string
	Bytes  int64
}

// Ability is something that not every backend can do.
type Ability string

// Abilities. A harness that has one implements the interface of the same name.
const (
	CanCrash         Ability = "Crasher"
	CanForgeVM       Ability = "VMForger"
	CanForgeDisk     Ability = "DiskForger"
	CanRemoveVM      Ability = "VMRemover"
	CanRemoveDisk    Ability = "DiskRemover"
	CanFillVolume    Ability = "VolumeFiller"
	CanFaultVolume   Ability = "VolumeFaulter"
	CanDeafenGuest   Ability = "GuestDeafener"
	CanCutOff        Ability = "Cutter"
	CanSpoilSource   Ability = "SourceSpoiler"
	CanClusterHosts  Ability = "Cluster"
	CanRunStandAlone Ability = "PowerCycler"
)

// Crasher can kill the driver between two calls to its backend.
type Crasher interface {
	// Calls is how many calls the driver has made since it was started.
	Calls() int
	// CrashAfter lets n more calls take effect. Then the driver is dead, as one
	// whose process was killed: nothing of it reaches the backend any more.
	CrashAfter(n int)
}

// VMForger can make a VM by hand, without a stamp.
type VMForger interface{ AddForeignVM(name string) }

// DiskForger can make a file by hand, without a stamp, where the driver would
// put this disk.
type DiskForger interface {
	AddForeignDisk(id hostapi.VMID, disk hostapi.Disk)
}

// VMRemover can remove a VM by hand and leave its files.
type VMRemover interface{ RemoveVM(id hostapi.VMID) }

// DiskRemover can remove the file of a disk of a VM that is off, and leave the
// VM.
type DiskRemover interface {
	RemoveDisk(id hostapi.VMID, disk hostapi.Disk)
}

// VolumeFiller can take all room on a volume, and give it back.
type VolumeFiller interface {
	FillVolume(volume string)
	EmptyVolume(volume string)
}

// VolumeFaulter can fault a volume, and clear the fault.
type VolumeFaulter interface {
	FaultVolume(volume string)
	ClearVolume(volume string)
}

// GuestDeafener can make a guest hang.
type GuestDeafener interface{ Deafen(id hostapi.VMID) }

// Cutter can make the host not answer its driver, and answer again.
type Cutter interface{ SetReachable(reachable bool) }

// SourceSpoiler can replace what is published at the image's source by content
// of the same size.
type SourceSpoiler interface{ SpoilSource() }

// Cluster is a host in a failover cluster of two at least.
type Cluster interface {
	// Peer returns the driver of another node.
	Peer() hostapi.Driver
	// Isolate cuts the driver's own node off the cluster, or joins it again.
	Isolate(isolated bool)
	// LoseNode takes the power from the driver's own node; FailOver lets the time
	// pass after which the cluster restarts the node's VMs elsewhere.
	LoseNode()
	FailOver()
}

// PowerCycler is a stand-alone host that can lose its power and get it back.
type PowerCycler interface{ PowerCycle() }

// able returns an ability of a host. It skips the test if the harness declares
// that it lacks it, and fails it if the harness says nothing.
func able[T any](t *testing.T, h Host, ability Ability) T {
	t.Helper()
	if reason, lacks := h.Lacks()[ability]; lacks {
		t.Skipf("the harness lacks %s: %s", ability, reason)
	}
	have, ok := h.(T)
	if !ok {
		t.Fatalf("the harness neither has the ability %s nor declares that it lacks it", ability)
	}
	return have
}

// mentions tells whether a line of Contents is about a VM.
func mentions(line string, id hostapi.VMID) bool { return strings.Contains(line, string(id)) }
