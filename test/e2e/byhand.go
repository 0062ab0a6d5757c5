package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"github.com/capstan-k8s/capstan/internal/addons"
	"github.com/capstan-k8s/capstan/internal/bootstrap"
	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
)

// What a person would use who makes a cluster of two such guests by hand, on a host of
// his own that Capstan does not know.
const (
	handHost    = "byhand"
	handVolume  = "csv1"
	handPods    = "10.244.0.0/16"
	handMemory  = 4096
	handBoot    = 40 << 30
	handVersion = "v1.36.3"
)

// byHand is a person who makes a cluster.
type byHand struct {
	*story

	driver *machinectr.Driver
	image  hostapi.ImageRef
}

// makeByHand makes a cluster of one control-plane and one worker node by kubeadm, in two
// such guests, to compare with.
func (s *story) makeByHand() narrator.Chapter {
	return narrator.Chapter{Title: "For comparison: kubeadm init and kubeadm join by hand, in two such guests", Tell: func(ctx context.Context) (err error) {
		if err := s.Env.Machines.Boot(handHost); err != nil {
			return err
		}
		driver, err := s.Env.Machines.Open(ctx, handHost)
		if err != nil {
			return err
		}
		// Nothing of it may be in the way of what comes, however it ends.
		defer func() {
			if end := driver.TearDown(context.WithoutCancel(ctx)); err == nil {
				err = end
			}
		}()
		h := &byHand{story: s, driver: driver}
		return s.Within(ctx, h.make)
	}}
}

func (h *byHand) make(ctx context.Context) error {
	began := time.Now()
	image := h.Env.Machines.Image
	h.image = hostapi.ImageRef{Name: "node", SHA256: image.SHA256}
	if _, err := h.driver.StageImage(ctx, hostapi.StageImageRequest{Image: h.image, Volume: handVolume, Source: image.Path}); err != nil {
		return err
	}
	first, second := hostapi.VMID(uuid.NewString()), hostapi.VMID(uuid.NewString())
	for id, address := range map[hostapi.VMID]string{first: "10.213.200.1/16", second: "10.213.200.2/16"} {
		if err := h.start(ctx, id, netip.MustParsePrefix(address)); err != nil {
			return err
		}
	}
	if err := h.runIn(ctx, first, "cloud-init", "status", "--wait"); err != nil {
		return err
	}
	h.Screen.Step("the first guest is up")
	if err := h.runIn(ctx, first, "kubeadm", "init", "--config=/etc/kubeadm.yaml"); err != nil {
		return err
	}
	h.Screen.Step("kubeadm init has ended")
	flannel, err := flannelManifest()
	if err != nil {
		return err
	}
	if err := h.runIn(ctx, first, "sh", "-c", "printf %s '"+strings.ReplaceAll(flannel, "'", `'\''`)+"' | kubectl --kubeconfig=/etc/kubernetes/admin.conf apply -f -"); err != nil {
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
	if err := h.runIn(ctx, first, "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "wait", "--for=condition=Ready", "--timeout=5m", "node/hand-1", "node/hand-2"); err != nil {
		return err
	}
	h.byHand = time.Since(began)
	h.Screen.Step("both nodes are Ready")
	return nil
}

// start makes a guest that knows nothing but its name and address, and what a person
// would type into a file.
func (h *byHand) start(ctx context.Context, id hostapi.VMID, address netip.Prefix) error {
	number := address.Addr().As4()[3]
	name := fmt.Sprintf("hand-%d", number)
	config := "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: " + handVersion + "\nnetworking: {podSubnet: " + handPods + "}\n"
	seed, err := bootstrap.Seed(bootstrap.Input{
		Identity: bootstrap.Identity{VM: string(id), Hostname: name}, OS: bootstrap.Linux,
		NICs:     []bootstrap.NIC{{MAC: hostapi.MACAddress(id, 0), Addresses: []netip.Prefix{address}, Gateways: []netip.Addr{netip.MustParseAddr("10.213.0.1")}, Nameservers: []netip.Addr{netip.MustParseAddr("10.213.0.1")}}},
		UserData: []byte("#cloud-config\nwrite_files:\n- path: /etc/kubeadm.yaml\n  content: |\n    " + strings.ReplaceAll(strings.TrimSpace(config), "\n", "\n    ") + "\n"),
	})
	if err != nil {
		return err
	}
	_, err = h.driver.EnsureVM(ctx, hostapi.EnsureVMRequest{
		Stamp: hostapi.Stamp{Installation: "by-hand", ID: id}, Name: name, Owner: "by-hand/" + name, OS: hostapi.Linux,
		Processors: 2, MemoryMiB: handMemory, Power: hostapi.PowerOn, Seed: seed,
		Disks: []hostapi.Disk{{Name: "boot", Volume: handVolume, Bytes: handBoot, Image: &h.image}},
		NICs:  []hostapi.NIC{{Switch: "vSwitch", MAC: hostapi.MACAddress(id, 0)}},
	})
	return err
}

// runIn runs a command in a guest, as soon as that has an init.
func (h *byHand) runIn(ctx context.Context, id hostapi.VMID, command ...string) error {
	return wait.PollUntilContextCancel(ctx, lookAtGuests, true, func(ctx context.Context) (bool, error) {
		vm, err := h.driver.GetVM(ctx, id)
		if err != nil || vm.Heartbeat != hostapi.HeartbeatOK {
			return false, err
		}
		guest, err := h.Env.Machines.Guest(string(id))
		if err != nil {
			return false, err
		}
		_, err = guest.Run(ctx, command...)
		return err == nil, err
	})
}

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
