package lbcmd

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/capstan-k8s/capstan/internal/cmdline"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// options is what the command line says.
type options struct {
	config, stateDir    string
	haproxy, keepalived string
	haproxyConfig       string
	haproxySocket       string
	haproxyMaster       string
	haproxyUser         string
	maxConnections      int
	hardStopAfter       time.Duration
	maxReloads          int
	grace, patience     time.Duration
	keepalivedConfig    string
	keepalivedPID       string
	probe               string
	nft                 string
	log                 cmdline.Log
	version             bool
}

func newFlags(program string) (*options, *flag.FlagSet) {
	o := &options{}
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	// Main prints the usage, to where it belongs.
	flags.Usage = func() {}
	flags.StringVar(&o.config, "config", lbapi.ConfigPath, "`file` with the name, address and enrolment token of this VM")
	flags.StringVar(&o.stateDir, "state-dir", "/var/lib/capstan-lb", "`folder` for the identity and the last good plan, for the agent alone")
	flags.StringVar(&o.haproxy, "haproxy", "/usr/sbin/haproxy", "`program` that checks HAProxy's configuration")
	flags.StringVar(&o.haproxyConfig, "haproxy-config", "/var/lib/capstan-lb/haproxy/haproxy.cfg", "`file` that HAProxy was told to load; authorities and server states are kept beside it")
	flags.StringVar(&o.haproxySocket, "haproxy-socket", "/run/capstan-lb/haproxy.sock", "`socket` on which HAProxy shall listen for runtime commands")
	flags.StringVar(&o.haproxyMaster, "haproxy-master-socket", "/run/capstan-lb/haproxy-master.sock", "`socket` that HAProxy's master was told to listen on with -S")
	flags.StringVar(&o.haproxyUser, "haproxy-user", "", "`user` that HAProxy's workers run as; empty for whoever started it")
	flags.IntVar(&o.maxConnections, "max-connections", 20000, "`number` of connections that HAProxy carries at a time")
	flags.DurationVar(&o.hardStopAfter, "hard-stop-after", time.Hour, "`time` for which connections may go on in a worker that a reload replaced")
	flags.IntVar(&o.maxReloads, "max-reloads", 200, "`number` of reloads that such a worker may outlive")
	flags.DurationVar(&o.grace, "removal-grace", time.Second, "`time` for which a removed backend may finish what it has begun")
	flags.DurationVar(&o.patience, "patience", 10*time.Second, "`time` for which HAProxy or keepalived may be away before a plan fails")
	flags.StringVar(&o.keepalived, "keepalived", "/usr/sbin/keepalived", "`program` that checks keepalived's configuration")
	flags.StringVar(&o.keepalivedConfig, "keepalived-config", "/var/lib/capstan-lb/keepalived/keepalived.conf", "`file` that keepalived was told to load")
	flags.StringVar(&o.keepalivedPID, "keepalived-pid", "/run/capstan-lb/keepalived.pid", "`file` that keepalived was told to write its process ID to")
	flags.StringVar(&o.probe, "probe", self(), "`program` that keepalived runs, as 'program probe socket peer...', to learn whether this VM may hold VIPs; empty for none")
	flags.StringVar(&o.nft, "nft", "/usr/sbin/nft", "`program` that holds new connections back while VIPs are handed over; empty for none")
	o.log.AddFlags(flags)
	flags.BoolVar(&o.version, "version", false, "print the version and end")
	return o, flags
}

func (o *options) caDir() string { return filepath.Join(filepath.Dir(o.haproxyConfig), "ca") }

func (o *options) stateFile() string {
	return filepath.Join(filepath.Dir(o.haproxyConfig), "haproxy.state")
}

func self() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return path
}

func usage(w io.Writer, program string, flags *flag.FlagSet) {
	fmt.Fprintf(w, `%[1]s makes HAProxy and keepalived of a load-balancer VM do what Capstan's
manager plans.

It listens for the manager, which dials it over mutual TLS 1.3, renders the plan,
has both programs check it, and changes what runs without losing a connection.
HAProxy and keepalived are run by somebody else, who starts them again whenever
they end:

  haproxy -W -f HAPROXY-CONFIG -S HAPROXY-MASTER-SOCKET
  keepalived -n -P -f KEEPALIVED-CONFIG -p KEEPALIVED-PID

Usage:
  %[1]s [flags]
  %[1]s probe SOCKET [PEER...]
                        succeed if HAProxy answers on its runtime socket, and any of
                        the peers or, at its last check, any of HAProxy's servers
  %[1]s version

Flags:
`, program)
	cmdline.PrintFlags(w, flags, 30)
}
