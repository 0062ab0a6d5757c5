package guest

import (
	"context"
	"errors"
	"time"
)

// firstBoot is what the program that reads the seed writes to the console at a first
// boot, in the words of a real one: that is all that anybody outside learns of it.
type firstBoot interface {
	// runs is said once the network is up, before the seed's commands run.
	runs(mem *memory)
	// fails is said when one of them has failed, which none of the others follows.
	fails(why error)
	// ends is said in the end.
	ends()
}

// commandFailed is an error that kubeadm has told in its own words.
type commandFailed struct{ err error }

func (c commandFailed) Error() string { return c.err.Error() }
func (c commandFailed) Unwrap() error { return c.err }

// fail ends the life of a guest that cannot go on.
func (g *Guest) fail(err error) {
	var told commandFailed
	failed := func(r *Report) { r.Phase, r.Ready = PhaseFailed, false }
	if errors.As(err, &told) {
		g.console.change(failed, "")
		return
	}
	g.console.change(failed, "failed: %s", err)
}

// runCommands does what the seed asks for. That it failed at a first boot is told as
// cloud-init or its like tells it.
func (g *Guest) runCommands(ctx context.Context, todo plan, unfit error, mem *memory) error {
	err := unfit
	if err == nil {
		err = g.runNode(ctx, todo, mem)
	}
	if err == nil || ctx.Err() != nil || mem.Node.Joined {
		return err
	}
	g.first.fails(err)
	return commandFailed{err}
}

// explain says why a command failed, unless kubeadm did.
func (g *Guest) explain(why error) {
	var told commandFailed
	if !errors.As(why, &told) {
		g.console.line("error execution phase preflight: %s", why)
	}
}

// unitFails is what systemd says of a unit that does not start.
func (g *Guest) unitFails(unit, description string) {
	g.console.line("[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39m%s\x1b[0m - %s.", unit, description)
}

// withoutContainerd is what kubeadm 1.36 does on a machine without a container
// runtime. A kubelet that has joined before says so, and tries again for ever.
func (g *Guest) withoutContainerd(ctx context.Context, mem *memory) error {
	const socket = "unix:///run/containerd/containerd.sock"
	const why = `failed to create new CRI runtime service: validate service connection: validate CRI v1 runtime API for endpoint "` + socket +
		`": rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: no such file or directory"`
	g.unitFails("containerd.service", "containerd container runtime")
	if mem.Node.Joined {
		g.console.line("kubelet: %s", why)
		<-ctx.Done()
		return nil
	}
	for _, line := range []string{
		"[preflight] Running pre-flight checks",
		"[preflight] Some fatal errors occurred:",
		"\t[ERROR CRI]: could not connect to the container runtime: " + why,
		"[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`",
		"error: error execution phase preflight: preflight checks failed",
		"To see the stack trace of this error execute with --v=5 or higher",
	} {
		g.console.line("%s", line)
	}
	return commandFailed{errors.New("kubeadm: preflight checks failed")}
}

// cloudInit speaks as cloud-init 22.4.2 of Debian 12.
type cloudInit struct {
	g    *Guest
	boot time.Time
}

func newCloudInit(g *Guest) firstBoot {
	c := &cloudInit{g: g, boot: g.runtime.Clock.Now()}
	g.console.line("Linux version 6.1.0-simulated (capstan fabric) #1 SMP")
	if len(g.machine.Seed) > 0 {
		c.stage("init-local")
	}
	return c
}

func (c *cloudInit) now() (at string, up float64) {
	now := c.g.runtime.Clock.Now()
	return now.UTC().Format(time.RFC1123Z), now.Sub(c.boot).Seconds()
}

func (c *cloudInit) stage(name string) {
	at, up := c.now()
	c.g.console.line("Cloud-init v. 22.4.2 running '%s' at %s. Up %.2f seconds.", name, at, up)
}

func (c *cloudInit) runs(mem *memory) {
	c.stage("init")
	for _, nic := range mem.NICs {
		for _, p := range nic.Addresses {
			c.g.console.line("ci-info: |  eth0  | True | %s | global | %s |", p, nic.MAC)
		}
	}
	c.stage("modules:config")
	c.stage("modules:final")
}

func (c *cloudInit) fails(why error) {
	at := c.g.runtime.Clock.Now().UTC().Format("2006-01-02 15:04:05,000")
	c.g.explain(why)
	c.g.console.line("%s - cc_scripts_user.py[WARNING]: Failed to run module scripts-user (scripts in /var/lib/cloud/instance/scripts)", at)
	c.g.console.line("%s - util.py[WARNING]: Running module scripts-user (<module 'cloudinit.config.cc_scripts_user'>) failed", at)
	c.ends()
	c.g.unitFails("cloud-final.service", "Execute cloud user/final scripts")
}

func (c *cloudInit) ends() {
	at, up := c.now()
	c.g.console.line("Cloud-init v. 22.4.2 finished at %s. Datasource DataSourceNoCloud [seed=/dev/sr0][dsmode=net].  Up %.2f seconds", at, up)
}

// cloudbaseInit speaks as cloudbase-init 1.1 with a serial port for its log.
type cloudbaseInit struct{ g *Guest }

func newCloudbaseInit(g *Guest) firstBoot { return cloudbaseInit{g} }

func (c cloudbaseInit) runs(*memory) {
	c.g.console.line("INFO cloudbaseinit.init [-] Executing plugin 'NetworkConfigPlugin'")
	c.g.console.line("INFO cloudbaseinit.init [-] Executing plugin 'UserDataPlugin'")
}

func (c cloudbaseInit) fails(why error) {
	c.g.explain(why)
	c.ends()
}

func (c cloudbaseInit) ends() {
	c.g.console.line("INFO cloudbaseinit.init [-] Plugins execution done")
}
