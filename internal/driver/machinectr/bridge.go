package machinectr

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// nicMark begins the alias of the machine's end of a NIC, for people.
const nicMark = "capstan-machinectr-nic-"

func (d *Driver) findSwitch(op, name string) (Switch, error) {
	i := slices.IndexFunc(d.Switches, func(s Switch) bool { return s.Name == name })
	if i < 0 {
		return Switch{}, hostapi.Errorf(hostapi.Conflict, op, name, "host %s has no switch %s", d.Host, name)
	}
	return d.Switches[i], nil
}

// bridge returns the bridge of a VLAN. Each VLAN is a bridge of its own: not
// every kernel has bridges that know VLANs.
func (s Switch) bridge(vlan int32) string {
	if vlan == 0 {
		return s.Bridge
	}
	return s.Bridge + "." + strconv.Itoa(int(vlan))
}

// outerName is a name for the machine's end of a NIC, of the 15 characters that
// the kernel has room for.
func (d *Driver) outerName(id hostapi.VMID, nic int) string {
	return d.outerPrefix(id) + strconv.Itoa(nic)
}

func (d *Driver) outerPrefix(id hostapi.VMID) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s", d.Host, id))
	return fmt.Sprintf("mc%x-", sum[:5])
}

// removeNICs takes the NICs of a guest that has ended off the network. The
// kernel keeps a network namespace, which answers for its addresses, as long as
// one connection in it waits to be ended, and that can be minutes.
func (d *Driver) removeNICs(ctx context.Context, id hostapi.VMID) error {
	all, err := links(ctx)
	if err != nil {
		return err
	}
	for _, l := range all {
		if !strings.HasPrefix(l.Name, d.outerPrefix(id)) {
			continue
		}
		if _, err := run(ctx, "ip", "link", "delete", l.Name); err != nil && !strings.Contains(err.Error(), "Cannot find device") {
			return err
		}
	}
	return nil
}

// bridgeAddress is the hardware address of a bridge of this package. It is what
// tells such a bridge from others, because it is given in the call that makes it.
func bridgeAddress(name string) string {
	sum := sha256.Sum256([]byte("capstan-machinectr/" + name))
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", sum[0], sum[1], sum[2], sum[3], sum[4])
}

// link is a network interface of the machine.
type link struct {
	Name    string   `json:"ifname"`
	Address string   `json:"address"`
	Master  string   `json:"master"`
	Flags   []string `json:"flags"`
	Info    []ip     `json:"addr_info"`
}

type ip struct {
	Local string `json:"local"`
}

func (l link) ours() bool { return l.Address == bridgeAddress(l.Name) }

func links(ctx context.Context) ([]link, error) {
	text, err := run(ctx, "ip", "-json", "address", "show")
	if err != nil {
		return nil, err
	}
	var out []link
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("read what ip says of the interfaces: %w", err)
	}
	return out, nil
}

// ensureBridge makes the bridge of a switch, or of a VLAN of it.
func (d *Driver) ensureBridge(ctx context.Context, s Switch, vlan int32) error {
	name, doing := s.bridge(vlan), "make bridge "+s.bridge(vlan)
	all, err := links(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	i := slices.IndexFunc(all, func(l link) bool { return l.Name == name })
	switch {
	case i >= 0 && !all[i].ours():
		return hostapi.Errorf(hostapi.NotOwned, "", name, "%s: there is one that is not of this driver's making", doing)
	case i < 0:
		// Another host on this machine may make it at the same moment.
		err = d.change(ctx, func() error {
			_, err := run(ctx, "ip", "link", "add", name, "address", bridgeAddress(name), "type", "bridge")
			if err != nil && strings.Contains(err.Error(), "File exists") {
				return nil
			}
			return err
		})
	}
	if err == nil && (i < 0 || !all[i].up() || vlan == 0 && !all[i].has(s.Address)) {
		err = d.change(ctx, func() error { return raise(ctx, name, s.Address, vlan) })
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

func (l link) up() bool { return slices.Contains(l.Flags, "UP") }

func (l link) has(address netip.Prefix) bool {
	return !address.IsValid() || slices.Contains(l.Info, ip{address.Addr().String()})
}

func raise(ctx context.Context, name string, address netip.Prefix, vlan int32) error {
	_, err := run(ctx, "ip", "link", "set", name, "up")
	if err == nil && address.IsValid() && vlan == 0 {
		_, err = run(ctx, "ip", "address", "replace", address.String(), "dev", name)
	}
	return err
}

// removeBridges removes the bridges of the host's switches that nothing is on.
func (d *Driver) removeBridges(ctx context.Context) error {
	all, err := links(ctx)
	if err != nil {
		return err
	}
	for _, l := range all {
		mine := slices.ContainsFunc(d.Switches, func(s Switch) bool {
			return l.Name == s.Bridge || strings.HasPrefix(l.Name, s.Bridge+".")
		})
		used := slices.ContainsFunc(all, func(port link) bool { return port.Master == l.Name })
		if !mine || !l.ours() || used {
			continue
		}
		if _, err := run(ctx, "ip", "link", "delete", l.Name, "type", "bridge"); err != nil {
			return fmt.Errorf("remove bridge %s: %w", l.Name, err)
		}
	}
	return nil
}
