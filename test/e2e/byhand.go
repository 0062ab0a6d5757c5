package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addons"
	"github.com/capstan-k8s/capstan/internal/bootstrap"
	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv/machinehosts"
	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
)

// What a person would use who makes a cluster of two such guests by hand, on a host of
// his own that Capstan does not know.
const (
	handHost   = "byhand"
	handPods   = "10.244.0.0/16"
	handMemory = 4096
	handBoot   = 40 << 30
	// handFlannel and handConfig are files in the guests.
	handFlannel = "/etc/flannel.yaml"
	handConfig  = "/etc/kubeadm.yaml"
	// adminConfig is where kubeadm leaves the administrator's kubeconfig.
	adminConfig = "--kubeconfig=/etc/kubernetes/admin.conf"
)

// person makes a cluster by hand.
type person struct {
	*story

	driver *machinectr.Driver
	image  hostapi.ImageRef
	// version is that of Kubernetes in the image.
	version string
}

// makeByHand makes a cluster of one control-plane and one worker node by kubeadm, in two
// such guests, to compare with.
func (s *story) makeByHand() narrator.Chapter {
	return narrator.Chapter{Title: "For comparison: kubeadm init and kubeadm join by hand, in two such guests", Tell: func(ctx context.Context) error {
		if err := s.Env.Machines.Boot(handHost); err != nil {
			return err
		}
		driver, err := s.Env.Machines.Open(ctx, handHost)
		if err != nil {
			return err
		}
		h := &person{story: s, driver: driver}
		err = s.Within(ctx, h.work)
		if err := errors.Join(err, driver.Close()); err != nil {
			// What there is of it is evidence.
			return err
		}
		return s.Env.Machines.Remove(ctx, handHost)
	}}
}

func (h *person) work(ctx context.Context) error {
	began := time.Now()
	image := h.Env.Machines.Image
	samples := &capstanv1.VMImage{}
	text, err := os.ReadFile(filepath.Join(h.Env.Manifests(), "image.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, samples)
	}
	if err != nil {
		return fmt.Errorf("reading what the node image is: %w", err)
	}
	h.version = samples.Spec.KubernetesVersion
	h.image = hostapi.ImageRef{Name: "node", SHA256: image.SHA256}
	if _, err := h.driver.StageImage(ctx, hostapi.StageImageRequest{Image: h.image, Volume: machinehosts.Volumes()[0], Source: image.Path}); err != nil {
		return err
	}
	first, second := hostapi.VMID(uuid.NewString()), hostapi.VMID(uuid.NewString())
	addresses := map[hostapi.VMID]netip.Prefix{first: netip.MustParsePrefix("10.213.200.1/16"), second: netip.MustParsePrefix("10.213.200.2/16")}
	for id, address := range addresses {
		if err := h.start(ctx, id, address); err != nil {
			return err
		}
	}
	if err := h.runIn(ctx, first, "cloud-init", "status", "--wait"); err != nil {
		return err
	}
	h.Screen.Step("the first guest is up")
	if err := h.runIn(ctx, first, "kubeadm", "init", "--config="+handConfig); err != nil {
		return err
	}
	h.Screen.Step("kubeadm init has ended")
	if err := h.runIn(ctx, first, "kubectl", adminConfig, "apply", "--filename="+handFlannel); err != nil {
		return err
	}
	guest, err := h.Env.Machines.Guest(string(first))
	if err != nil {
		return err
	}
	join, err := guest.Run(ctx, "kubeadm", "token", "create", "--print-join-command")
	if err != nil {
		return err
	}
	if err := h.runIn(ctx, second, "cloud-init", "status", "--wait"); err != nil {
		return err
	}
	if err := h.runIn(ctx, second, strings.Fields(join)...); err != nil {
		return err
	}
	h.Screen.Step("kubeadm join has ended")
	if err := h.runIn(ctx, first, "kubectl", adminConfig, "wait", "--for=condition=Ready", "--timeout=5m", "node/"+nameOf(addresses[first]), "node/"+nameOf(addresses[second])); err != nil {
		return err
	}
	h.byHandTook = time.Since(began)
	h.Screen.Step("both nodes are Ready")
	return nil
}

// start makes a guest that knows nothing but its name and address, and what a person
// would type into a file.
func (h *person) start(ctx context.Context, id hostapi.VMID, address netip.Prefix) error {
	flannel, err := flannelManifest()
	if err != nil {
		return err
	}
	files, err := yaml.Marshal(map[string]any{"write_files": []map[string]string{
		{"path": handConfig, "content": "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: " + h.version + "\nnetworking: {podSubnet: " + handPods + "}\n"},
		{"path": handFlannel, "content": flannel},
	}})
	if err != nil {
		return fmt.Errorf("writing what is in a guest that was made by hand: %w", err)
	}
	name, gateway := nameOf(address), machinehosts.Address().Addr()
	seed, err := bootstrap.Seed(bootstrap.Input{
		Identity: bootstrap.Identity{VM: string(id), Hostname: name}, OS: bootstrap.Linux,
		NICs:     []bootstrap.NIC{{MAC: hostapi.MACAddress(id, 0), Addresses: []netip.Prefix{address}, Gateways: []netip.Addr{gateway}, Nameservers: []netip.Addr{gateway}}},
		UserData: append([]byte("#cloud-config\n"), files...),
	})
	if err != nil {
		return err
	}
	_, err = h.driver.EnsureVM(ctx, hostapi.EnsureVMRequest{
		Stamp: hostapi.Stamp{Installation: "by-hand", ID: id}, Name: name, Owner: "by-hand/" + name, OS: hostapi.Linux,
		Processors: 2, MemoryMiB: handMemory, Power: hostapi.PowerOn, Seed: seed,
		Disks: []hostapi.Disk{{Name: "boot", Volume: machinehosts.Volumes()[0], Bytes: handBoot, Image: &h.image}},
		NICs:  []hostapi.NIC{{Switch: machinehosts.Switch, MAC: hostapi.MACAddress(id, 0)}},
	})
	return err
}

// runIn runs a command in a guest, as soon as that has an init.
func (h *person) runIn(ctx context.Context, id hostapi.VMID, command ...string) error {
	return wait.PollUntilContextCancel(ctx, lookAtGuests, true, func(ctx context.Context) (bool, error) {
		vm, err := h.driver.GetVM(ctx, id)
		if err != nil || vm.Heartbeat != hostapi.HeartbeatOK {
			return false, err
		}
		guest, err := h.Env.Machines.Guest(string(id))
		if err != nil {
			return false, err
		}
		_, err = guest.Run(ctx, command[0], command[1:]...)
		return err == nil, err
	})
}

// nameOf is what a guest of an address is called.
func nameOf(address netip.Prefix) string { return fmt.Sprintf("hand-%d", address.Addr().As4()[3]) }

func flannelManifest() (string, error) {
	objects, err := addons.Flannel(nil, handPods)
	if err != nil {
		return "", err
	}
	var documents []string
	for _, object := range objects {
		text, err := yaml.Marshal(object)
		if err != nil {
			return "", fmt.Errorf("writing the manifest of Flannel: %w", err)
		}
		documents = append(documents, string(text))
	}
	return strings.Join(documents, "---\n"), nil
}
