package machinectr_test

import (
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
)

func TestVolumesAreReadFromTheCommandLine(t *testing.T) {
	for text, want := range map[string]machinectr.Volume{
		"csv1=/srv/csv1":          {Name: "csv1", Path: "/srv/csv1"},
		"csv1=/srv/csv1,20G":      {Name: "csv1", Path: "/srv/csv1", Bytes: 20 << 30},
		"csv1=/srv/csv1,67108864": {Name: "csv1", Path: "/srv/csv1", Bytes: 64 << 20},
	} {
		t.Run(text, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(machinectr.ParseVolume(text)).To(Equal(want))
		})
	}
	for name, text := range map[string]string{
		"no path":                    "csv1",
		"a relative path":            "csv1=srv",
		"no name":                    "=/srv",
		"a name that is a path":      "../csv=/srv",
		"a size that is none":        "csv1=/srv,large",
		"no size":                    "csv1=/srv,",
		"a unit alone":               "csv1=/srv,G",
		"nothing at all":             "csv1=/srv,0",
		"less than nothing":          "csv1=/srv,-1G",
		"more than a number holds":   "csv1=/srv,9999999999T",
		"a path that splits options": "csv1=/srv:lower",
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := machinectr.ParseVolume(text)
			g.Expect(err).To(MatchError(ContainSubstring("volume")))
		})
	}
}

func TestSwitchesAreReadFromTheCommandLine(t *testing.T) {
	for text, want := range map[string]machinectr.Switch{
		"lan=capstan0":              {Name: "lan", Bridge: "capstan0"},
		"lan=capstan0,10.77.0.1/24": {Name: "lan", Bridge: "capstan0", Address: netip.MustParsePrefix("10.77.0.1/24")},
	} {
		t.Run(text, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(machinectr.ParseSwitch(text)).To(Equal(want))
		})
	}
	for name, text := range map[string]string{
		"no bridge": "lan",
		"a bridge without room for a VLAN in its name": "lan=capstan-bridge",
		"an address that is none":                      "lan=capstan0,10.77.0.1",
		"an address that is the world's":               "lan=capstan0,192.0.2.1/24",
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := machinectr.ParseSwitch(text)
			g.Expect(err).To(MatchError(ContainSubstring("switch")))
		})
	}
}

func TestAHostThatCannotBeIsRefusedBeforeAnythingIsMade(t *testing.T) {
	good := func() machinectr.Options {
		return machinectr.Options{
			Host: "hv1", Volumes: []machinectr.Volume{{Name: "csv1", Path: "/nowhere/csv1"}},
			Switches: []machinectr.Switch{{Name: "lan", Bridge: "capstan0"}},
		}
	}
	for name, c := range map[string]struct {
		spoil func(*machinectr.Options)
		want  string
	}{
		"no name":               {func(o *machinectr.Options) { o.Host = "" }, "host name"},
		"a name that is a path": {func(o *machinectr.Options) { o.Host = "../hv1" }, "host name"},
		"no volume":             {func(o *machinectr.Options) { o.Volumes = nil }, "no volume"},
		"two volumes at one path": {func(o *machinectr.Options) {
			o.Volumes = append(o.Volumes, machinectr.Volume{Name: "csv2", Path: "/nowhere/csv1"})
		}, "another volume's"},
		"two switches on one bridge": {func(o *machinectr.Options) {
			o.Switches = append(o.Switches, machinectr.Switch{Name: "san", Bridge: "capstan0"})
		}, "another switch's"},
		"a layer that is not there": {func(o *machinectr.Options) { o.Layer = "/nowhere/layer" }, "/nowhere/layer"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := good()
			c.spoil(&o)
			_, err := machinectr.New(t.Context(), o)
			g.Expect(err).To(MatchError(ContainSubstring(c.want)))
		})
	}
}
