package fabric

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// Topology is what a fabric is built of. It is given anew at every start; what
// happens on it is on disk.
type Topology struct {
	Hosts []HostSpec `json:"hosts"`
	// FailoverClusters join hosts. A host in none stands alone.
	FailoverClusters []ClusterSpec `json:"failoverClusters,omitempty"`
	// Images are published at their sources, where nothing is published yet.
	Images []fabricapi.PublishedImage `json:"images,omitempty"`
}

// HostSpec is a host.
type HostSpec struct {
	Name       string `json:"name"`
	Processors int32  `json:"processors"`
	MemoryMiB  int64  `json:"memoryMiB"`
	// ReserveMiB is what the host keeps for itself.
	ReserveMiB int64    `json:"reserveMiB,omitempty"`
	Switches   []string `json:"switches"`
	// Volumes are a stand-alone host's own.
	Volumes []VolumeSpec `json:"volumes,omitempty"`
}

// ClusterSpec is a failover cluster.
type ClusterSpec struct {
	Name  string   `json:"name"`
	Hosts []string `json:"hosts"`
	// Volumes are cluster shared volumes, seen by all its hosts.
	Volumes []VolumeSpec `json:"volumes"`
}

// VolumeSpec is a volume.
type VolumeSpec struct {
	Name    string `json:"name"`
	SizeGiB int64  `json:"sizeGiB"`
}

const gib = int64(1) << 30

// Names in the default topology.
const (
	DefaultSwitch  = "vSwitch"
	DefaultCluster = "fc1"
	defaultVolumes = 4
)

// DefaultTopology returns hosts hv1, hv2, ... with four volumes csv1 to csv4:
// shared in one failover cluster or, if standAlone, each host with its own.
func DefaultTopology(hosts int, standAlone bool) Topology {
	var volumes []VolumeSpec
	for i := range defaultVolumes {
		volumes = append(volumes, VolumeSpec{Name: fmt.Sprintf("csv%d", i+1), SizeGiB: 4096})
	}
	var t Topology
	var names []string
	for i := range hosts {
		host := HostSpec{
			Name: fmt.Sprintf("hv%d", i+1), Processors: 64, MemoryMiB: 1 << 20, ReserveMiB: 4 << 10,
			Switches: []string{DefaultSwitch},
		}
		if standAlone {
			host.Volumes = volumes
		}
		names = append(names, host.Name)
		t.Hosts = append(t.Hosts, host)
	}
	if !standAlone {
		t.FailoverClusters = []ClusterSpec{{Name: DefaultCluster, Hosts: names, Volumes: volumes}}
	}
	t.Images = DefaultImages()
	return t
}

// faultyImageVersion is the version of the images that do not work.
const faultyImageVersion = "v1.36.3"

// DefaultImages returns node images of the Kubernetes versions that are used in
// development, and after these some that do not work. Checksums of simulated images are made from their sources, so
// that manifests can name them.
func DefaultImages() []fabricapi.PublishedImage {
	const source = `\\images.example\capstan\`
	var images []fabricapi.PublishedImage
	for _, version := range []string{"v1.34.9", "v1.35.6", "v1.36.2", "v1.36.3", "v1.36.4", "v1.37.0"} {
		images = append(images,
			SimulatedImage(source+"linux-"+version+".vhdx", "Linux", version, 2*gib),
			SimulatedImage(source+"windows-"+version+".vhdx", "Windows", version, 12*gib))
	}
	for _, faulty := range []struct {
		name  string
		fault fabricapi.ImageFault
	}{{"no-containerd", fabricapi.ImageNoContainerd}, {"no-network", fabricapi.ImageNoNetwork}} {
		image := SimulatedImage(source+"linux-"+faulty.name+".vhdx", "Linux", faultyImageVersion, 2*gib)
		image.Fault = faulty.fault
		images = append(images, image)
	}
	return images
}

// SimulatedImage describes an image whose checksum is made from its source.
func SimulatedImage(source, os, version string, bytes int64) fabricapi.PublishedImage {
	return fabricapi.PublishedImage{
		Source: source, SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(source))),
		FileBytes: bytes, VirtualBytes: max(4*bytes, 20*gib), OS: os, KubernetesVersion: version,
	}
}

// ParseTopology reads a topology file.
func ParseTopology(data []byte) (Topology, error) {
	var t Topology
	if err := yaml.UnmarshalStrict(data, &t); err != nil {
		return Topology{}, fmt.Errorf("read the topology: %w", err)
	}
	return t, t.validate()
}

func (t Topology) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(t.Hosts) == 0 {
		fail("topology: no hosts")
	}
	hosts := map[string]bool{}
	for _, h := range t.Hosts {
		if h.Name == "" || hosts[h.Name] {
			fail("topology: host name %q is empty or not unique", h.Name)
		}
		hosts[h.Name] = true
		if h.Processors < 1 || h.MemoryMiB <= h.ReserveMiB || h.ReserveMiB < 0 {
			fail("topology: host %s needs processors, and more memoryMiB than reserveMiB", h.Name)
		}
		errs = append(errs, validateVolumes("host "+h.Name, h.Volumes))
	}
	sites := map[string]bool{}
	member := map[string]bool{}
	for _, c := range t.FailoverClusters {
		if c.Name == "" || sites[c.Name] || hosts[c.Name] {
			fail("topology: failover cluster name %q is empty or not unique", c.Name)
		}
		sites[c.Name] = true
		for _, h := range c.Hosts {
			if !hosts[h] || member[h] {
				fail("topology: failover cluster %s: %q is no host, or is in a cluster already", c.Name, h)
			}
			member[h] = true
		}
		errs = append(errs, validateVolumes("failover cluster "+c.Name, c.Volumes))
	}
	for _, h := range t.Hosts {
		if member[h.Name] && len(h.Volumes) > 0 {
			fail("topology: host %s is in a failover cluster: give the volumes to the cluster", h.Name)
		}
	}
	return errors.Join(errs...)
}

func validateVolumes(of string, volumes []VolumeSpec) error {
	seen := map[string]bool{}
	for _, v := range volumes {
		if v.Name == "" || v.SizeGiB < 1 || seen[v.Name] {
			return fmt.Errorf("topology: %s: volume %q needs a unique name and a sizeGiB", of, v.Name)
		}
		seen[v.Name] = true
	}
	return nil
}
