package console_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/console"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const (
	kernel   = "[    0.000000] Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP"
	local    = "[    3.100000] cloud-init[251]: Cloud-init v. 22.4.2 running 'init-local' at Sat, 21 Nov 2026 21:00:01 +0000. Up 3.10 seconds."
	network  = "[    4.200000] cloud-init[280]: Cloud-init v. 22.4.2 running 'init' at Sat, 21 Nov 2026 21:00:02 +0000. Up 4.20 seconds."
	final    = "[    6.900000] cloud-init[381]: Cloud-init v. 22.4.2 running 'modules:final' at Sat, 21 Nov 2026 21:00:05 +0000. Up 6.90 seconds."
	ended    = "[   25.300000] cloud-init[381]: Cloud-init v. 22.4.2 finished at Sat, 21 Nov 2026 21:00:24 +0000. Datasource DataSourceNoCloud [seed=/dev/sr0][dsmode=net].  Up 25.30 seconds"
	noSource = "[   25.300000] cloud-init[381]: Cloud-init v. 22.4.2 finished at Sat, 21 Nov 2026 21:00:24 +0000. Datasource DataSourceNone.  Up 25.30 seconds"
	runcmd   = "[   25.200000] cloud-init[381]: 2026-11-21 21:00:24,118 - cc_scripts_user.py[WARNING]: Failed to run module scripts_user (scripts in /var/lib/cloud/instance/scripts)"
	module   = "[   25.200000] cloud-init[381]: 2026-11-21 21:00:24,118 - util.py[WARNING]: Running module ntp (<module 'cloudinit.config.cc_ntp'>) failed"
	kubeadm  = "[   20.000000] cloud-init[381]: error execution phase preflight: [preflight] Some fatal errors occurred:"
	noRoom   = "[   20.000000] cloud-init[381]: \t[ERROR CRI]: could not connect to the container runtime: dial unix /run/containerd/containerd.sock: connect: no such file or directory"
	unit     = "[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mcontainerd.service\x1b[0m - containerd container runtime."
)

func TestHowFarTheFirstConfigurationIs(t *testing.T) {
	for name, tc := range map[string]struct {
		lines []string
		want  hostapi.GuestInit
	}{
		"nothing is known without a console":           {nil, hostapi.GuestInit{}},
		"nothing is known before it begins":            {[]string{kernel}, hostapi.GuestInit{}},
		"it is in its last stage":                      {[]string{kernel, local, network, final}, hostapi.GuestInit{State: hostapi.InitRunning, Stage: "modules:final"}},
		"a prompt was there before the line":           {[]string{"node-1 login: " + final}, hostapi.GuestInit{State: hostapi.InitRunning, Stage: "modules:final"}},
		"it is done":                                   {[]string{kernel, local, final, ended}, hostapi.GuestInit{State: hostapi.InitDone}},
		"it is done although a module of it failed":    {[]string{local, final, module, ended}, hostapi.GuestInit{State: hostapi.InitDone}},
		"a command of the seed failed":                 {[]string{final, runcmd}, hostapi.GuestInit{State: hostapi.InitFailed, Stage: "modules:final"}},
		"kubeadm failed, and that is not the end yet":  {[]string{final, kubeadm}, hostapi.GuestInit{State: hostapi.InitRunning, Stage: "modules:final"}},
		"kubeadm failed, and nothing more is to come":  {[]string{final, kubeadm, ended}, hostapi.GuestInit{State: hostapi.InitFailed, Stage: "modules:final"}},
		"there was no seed":                            {[]string{final, noSource}, hostapi.GuestInit{State: hostapi.InitFailed, Stage: "modules:final"}},
		"what failed before the last boot is over":     {[]string{final, runcmd, kernel, local}, hostapi.GuestInit{State: hostapi.InitRunning, Stage: "init-local"}},
		"Windows is at it":                             {[]string{"cloudbaseinit.init [-] Executing plugin 'UserDataPlugin'"}, hostapi.GuestInit{State: hostapi.InitRunning}},
		"Windows is done":                              {[]string{"cloudbaseinit.init [-] Executing plugin 'X'", "cloudbaseinit.init [-] Plugins execution done"}, hostapi.GuestInit{State: hostapi.InitDone}},
		"a name of a stage that is none is not passed": {[]string{"Cloud-init v. 1 running 'a b' at Sat"}, hostapi.GuestInit{}},
	} {
		t.Run(name, func(t *testing.T) {
			init, _ := console.Read(tc.lines)
			NewWithT(t).Expect(init).To(Equal(tc.want))
		})
	}
}

func TestTheLinesThatExplainAreTold(t *testing.T) {
	for name, tc := range map[string]struct{ lines, want []string }{
		"kubeadm's errors and the unit behind them, without who wrote them": {
			[]string{kernel, unit, local, final, "[preflight] Running pre-flight checks", kubeadm, noRoom, "To see the stack trace of this error execute with --v=5 or higher", runcmd, ended},
			[]string{
				"[FAILED] Failed to start containerd.service - containerd container runtime.",
				"error execution phase preflight: [preflight] Some fatal errors occurred:",
				"[ERROR CRI]: could not connect to the container runtime: dial unix /run/containerd/containerd.sock: connect: no such file or directory",
				"cc_scripts_user.py[WARNING]: Failed to run module scripts_user (scripts in /var/lib/cloud/instance/scripts)",
			},
		},
		// This is what kubeadm 1.36.3 says on a machine without a container runtime.
		"kubeadm's preflight checks": {
			[]string{
				"[preflight] Running pre-flight checks",
				"\t[WARNING Service-kubelet]: kubelet service is not enabled, please run 'systemctl enable kubelet.service'",
				"[preflight] Some fatal errors occurred:",
				"\t[ERROR CRI]: could not connect to the container runtime: failed to create new CRI runtime service: validate service connection: validate CRI v1 runtime API for endpoint \"unix:///run/containerd.sock\": rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial unix /run/containerd.sock: connect: no such file or directory\"",
				"\t[ERROR FileContent--proc-sys-net-ipv4-ip_forward]: /proc/sys/net/ipv4/ip_forward contents are not set to 1",
				"[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`",
				"error: error execution phase preflight: preflight checks failed",
				"To see the stack trace of this error execute with --v=5 or higher",
			},
			[]string{
				"[ERROR CRI]: could not connect to the container runtime: failed to create new CRI runtime service: validate...desc = \"transport: Error while dialing: dial unix /run/containerd.sock: connect: no such file or directory\"",
				"[ERROR FileContent--proc-sys-net-ipv4-ip_forward]: /proc/sys/net/ipv4/ip_forward contents are not set to 1",
				"error: error execution phase preflight: preflight checks failed",
			},
		},
		"the last ones where none explains": {
			[]string{"a", "b", "c", "d", "d", ""}, []string{"b", "c", "d"},
		},
		"not a prompt": {
			[]string{"a", "b", "c", "node-1 login: "}, []string{"a", "b", "c"},
		},
		"nothing of the boot before": {
			[]string{kubeadm, kernel, "x", "y", "z"}, []string{"x", "y", "z"},
		},
		"not what systemd says while it waits": {
			[]string{"[ ***  ] A start job is running for Wait for Network (1min 3s / no limit)", "\x1b[K[    *] A start job is running", "up"}, []string{"up"},
		},
		"the kubelet's health as kubeadm sees it": {
			[]string{"[kubelet-check] The kubelet is not healthy after 4m0.000s", "a", "b", "c"},
			[]string{"[kubelet-check] The kubelet is not healthy after 4m0.000s", "b", "c"},
		},
		"nothing of nothing": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, lines := console.Read(tc.lines)
			NewWithT(t).Expect(lines).To(Equal(tc.want))
		})
	}
}

func TestWhatIsToldIsBounded(t *testing.T) {
	g := NewWithT(t)
	var flood []string
	for i := range 100 {
		flood = append(flood, "error "+strings.Repeat("ä", i))
	}
	_, lines := console.Read(append([]string{kubeadm}, flood...))
	g.Expect(lines[0]).To(HavePrefix("error execution phase"), "the most telling is there whatever else is")
	g.Expect(len(lines)).To(BeNumerically("<=", 8))
	g.Expect(len(strings.Join(lines, "\n"))).To(BeNumerically("<=", 800))

	lines = console.Withhold(flood, console.Secrets{})
	g.Expect(len(lines)).To(BeNumerically("<=", 8), "whatever an agent tells")
	g.Expect(len(strings.Join(lines, "\n"))).To(BeNumerically("<=", 800))
	_, lines = console.Read([]string{"error " + strings.Repeat("ä", 500)})
	g.Expect(lines).To(HaveExactElements(And(MatchRegexp("^error ä+[.]{3}ä+$"), HaveLen(219))), "both ends are told")
}

func TestWhatATerminalMakesOfTextIsNotTold(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"colours":                               {"\x1b[0;1;31mred\x1b[0m", "red"},
		"moves and modes":                       {"a\x1b[2J\x1b[01;01H\x1b[=3hb\x1b(Bc\x1b7\x1b>d", "abcd"},
		"titles":                                {"a\x1b]0;title\ab\x1b]2;other\x1b\\c", "abc"},
		"a title that never ends":               {"a\x1b]0;title", "a"},
		"controls of eight bits":                {"a\x9b31mb\u009b0mc", "abc"},
		"a sequence that is cut off":            {"a\x1b[31", "a"},
		"an escape at the end":                  {"a\x1b", "a"},
		"what was erased":                       {"abx\b\bc", "ac"},
		"bytes that are no text":                {"a\x00\xff\u200bb", "ab"},
		"space of any kind":                     {"a\tb\u00a0c", "a b c"},
		"no character is taken for a control's": {"É[31m", "É[31m"},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(console.Withhold([]string{tc.text}, console.Secrets{})).To(Equal([]string{tc.want}))
		})
	}
	t.Run("what is written over is a line of its own", func(t *testing.T) {
		NewWithT(t).Expect(console.Withhold([]string{"10%\r20%\r\ndone"}, console.Secrets{})).To(Equal([]string{"10%", "20%", "done"}))
	})
}

func TestOnlyTheEndOfALongConsoleIsLookedAt(t *testing.T) {
	g := NewWithT(t)
	_, lines := console.Read([]string{kubeadm, strings.Repeat("x ", 40<<10), "the end"})
	g.Expect(strings.Join(lines, "\n")).NotTo(ContainSubstring("error execution phase"))
	g.Expect(lines[len(lines)-1]).To(Equal("the end"))
}

func TestHalfALineIsNotLookedAt(t *testing.T) {
	g := NewWithT(t)
	// The bound is in the midst of the token, whose second half has no form.
	_, lines := console.Read([]string{"using " + token, strings.Repeat("x ", 16<<10)[10:]})
	g.Expect(strings.Join(lines, "\n")).NotTo(ContainSubstring("789abcdef"))
	_, lines = console.Read([]string{token + strings.Repeat(" x", 16<<10)[10:]})
	g.Expect(lines).To(BeEmpty(), "no line is whole")
}
