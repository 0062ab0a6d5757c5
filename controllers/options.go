package controllers

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/capstan-k8s/capstan/controllers/orphan"
	"github.com/capstan-k8s/capstan/internal/outage"
	"github.com/capstan-k8s/capstan/internal/pacing"
	"github.com/capstan-k8s/capstan/internal/placement"
)

// Options are what an administrator may set.
type Options struct {
	// Namespace is the manager's own, where its certificates and the pins of
	// agents are kept.
	Namespace string
	// MetricsAddress and ProbeAddress are listened on; "0" means not at all.
	MetricsAddress string
	ProbeAddress   string
	// MetricsInsecure serves metrics over plain HTTP to whoever asks.
	MetricsInsecure bool
	// PprofAddress serves profiles; it is not served by default, as whoever
	// reaches it learns what the manager holds in memory.
	PprofAddress string
	WebhookHost  string
	WebhookPort  int
	// WebhookBaseURL is set for a manager outside the management cluster.
	WebhookBaseURL string
	LeaderElect    bool
	// QPS and Burst limit the requests to the management API server.
	QPS   float64
	Burst int
	// Concurrency is how many objects of a kind are worked on at a time.
	Concurrency int
	// ConnectionRetryInterval is how soon a workload cluster that did not answer
	// is tried again.
	ConnectionRetryInterval time.Duration
	// HostPollInterval is how often a healthy host's inventory is read.
	HostPollInterval time.Duration
	// RolloutQuietPeriod is how long a change that replaces nodes must have been
	// left alone before it begins.
	RolloutQuietPeriod time.Duration
	// RolloutLongestHold is after how long such a change begins though it is not left
	// alone.
	RolloutLongestHold time.Duration

	// WaitMessageHold is for how long the words are kept back in which an object waits,
	// as long as what it waits for stays the same.
	WaitMessageHold time.Duration

	// Healing is how long something must be wrong before machines are replaced for it.
	Healing outage.Timeouts

	// Placement is how full hosts and volumes may get.
	Placement placement.Policy

	// Orphans is what becomes of VMs without an object.
	Orphans orphan.Policy

	// Pace is how long objects rest after they were worked on.
	Pace pacing.Pace

	// Clock is the time that Capstan goes by, the machine's by default. Cluster API and
	// the libraries that speak with API servers read that themselves. No flag sets it.
	Clock clock.WithTicker

	log zap.Options
}

// DefaultOptions returns the options without any flag given.
func DefaultOptions() *Options {
	return &Options{
		Namespace:               "capstan-system",
		MetricsAddress:          ":8443",
		ProbeAddress:            ":8081",
		PprofAddress:            "0",
		WebhookPort:             9443,
		QPS:                     1000,
		Burst:                   2000,
		Concurrency:             10,
		ConnectionRetryInterval: time.Second,
		HostPollInterval:        10 * time.Second,
		Healing: outage.Timeouts{
			HostLoss: outage.DefaultHostLossTimeout, VolumeFault: outage.DefaultVolumeFaultTimeout,
			MissingVM: outage.DefaultMissingVMTimeout, Hold: outage.DefaultHold,
		},
		Pace:               pacing.Pace{PerObject: 50 * time.Millisecond, Longest: 5 * time.Second},
		WaitMessageHold:    10 * time.Second,
		RolloutQuietPeriod: 3 * time.Second,
		RolloutLongestHold: 2 * time.Minute,
		Orphans:            orphan.DefaultPolicy(),
		Clock:              clock.RealClock{},
	}
}

// AddFlags adds the flags that set the options. What is returned tells whether
// only the version was asked for.
func (o *Options) AddFlags(flags *flag.FlagSet) (printVersion *bool) {
	flags.StringVar(&o.Namespace, "namespace", o.Namespace, "the manager's own namespace, for certificates and agents' keys")
	flags.StringVar(&o.MetricsAddress, "metrics-bind-address", o.MetricsAddress, "address of the metrics endpoint, 0 for none")
	flags.BoolVar(&o.MetricsInsecure, "metrics-insecure", o.MetricsInsecure,
		"serve metrics over plain HTTP to whoever asks; otherwise over TLS to those whom the API server lets read /metrics")
	flags.StringVar(&o.ProbeAddress, "health-probe-bind-address", o.ProbeAddress, "address of /healthz and /readyz, 0 for none")
	flags.StringVar(&o.PprofAddress, "pprof-bind-address", o.PprofAddress, "address of the profiles at /debug/pprof/, 0 for none; do not let others reach it")
	flags.StringVar(&o.WebhookHost, "webhook-host", o.WebhookHost, "address the webhook server listens on, all if empty")
	flags.IntVar(&o.WebhookPort, "webhook-port", o.WebhookPort, "port of the webhook server")
	flags.StringVar(&o.WebhookBaseURL, "webhook-base-url", o.WebhookBaseURL,
		"https URL at which the API server reaches the webhooks of a manager outside the cluster; inside, the Service capstan-webhook is used")
	flags.BoolVar(&o.LeaderElect, "leader-elect", o.LeaderElect, "let only one of several managers work at a time")
	flags.Float64Var(&o.QPS, "kube-api-qps", o.QPS, "requests per second to the management API server")
	flags.IntVar(&o.Burst, "kube-api-burst", o.Burst, "requests to the management API server in a burst")
	flags.IntVar(&o.Concurrency, "concurrency", o.Concurrency, "objects of a kind that are worked on at a time, Cluster API's kinds included")
	flags.DurationVar(&o.ConnectionRetryInterval, "cluster-connection-retry", o.ConnectionRetryInterval, "how soon a workload cluster that did not answer is tried again")
	flags.DurationVar(&o.HostPollInterval, "host-poll-interval", o.HostPollInterval, "how often the inventory of a healthy host is read")
	o.addHealingFlags(flags)
	flags.DurationVar(&o.RolloutQuietPeriod, "rollout-quiet-period", o.RolloutQuietPeriod,
		"how long a NodePool must have been left alone before its nodes are replaced, so that of many edits only the last is rolled out")
	flags.DurationVar(&o.RolloutLongestHold, "rollout-longest-hold", o.RolloutLongestHold,
		"after how long the nodes of a NodePool that is not left alone are replaced nevertheless, by what it says then; this is also how often, at most, constant edits begin a roll-out")
	flags.DurationVar(&o.WaitMessageHold, "wait-message-hold", o.WaitMessageHold,
		"for how long a new message of a condition that goes on waiting for the same reason is kept back; what is ready or wrong with an object is told of it at once, and of those that wait for it up to this much later each; 0 for not at all")
	flags.DurationVar(&o.Pace.PerObject, "rest-per-object", o.Pace.PerObject,
		"how long an object rests after it was worked on, for each object of its kind that is busy, so that bursts of changes are answered once; 0 for not at all")
	flags.DurationVar(&o.Pace.Longest, "rest-longest", o.Pace.Longest, "the longest that an object rests after it was worked on")
	flags.Func("storage-overcommit", "how many bytes of virtual disks a volume takes per byte it has (default 1)", func(value string) error {
		factor, err := strconv.ParseFloat(value, 64)
		if err != nil || !(factor > 0 && factor <= 100) {
			return errors.New("must be a number above 0 and up to 100")
		}
		o.Placement.StorageOvercommit = factor
		return nil
	})
	flags.BoolVar(&o.Placement.NoSpareHost, "no-spare-host", o.Placement.NoSpareHost,
		"give out the memory that failover clusters otherwise keep free so that any one of their hosts may fail")
	o.addOrphanFlags(flags)
	o.log.BindFlags(flags)
	return flags.Bool("version", false, "print the version and exit")
}

func (o *Options) addOrphanFlags(flags *flag.FlagSet) {
	p := &o.Orphans
	flags.DurationVar(&p.Interval, "orphan-sweep-interval", p.Interval, "how often hosts are asked for VMs without an object; 0 for never")
	flags.DurationVar(&p.Grace, "orphan-grace-period", p.Grace, "how long such a VM is left alone after it was found")
	flags.Var(&p.Removal, "orphan-removal",
		"what of VMs without an object is removed unasked: nothing, which is a dry run; remnants, which cannot run; or all. the rest goes when an administrator says so")
	flags.IntVar(&p.FreezeAbove, "orphan-freeze-above", p.FreezeAbove, "no VM is removed unasked if more than this number have no object, and more than --orphan-freeze-share of all")
	flags.Func("orphan-freeze-share", fmt.Sprintf("see --orphan-freeze-above (default %v)", p.FreezeShare), func(value string) error {
		share, err := strconv.ParseFloat(value, 64)
		if err != nil || !(share >= 0 && share <= 1) {
			return errors.New("must be a number from 0 to 1")
		}
		p.FreezeShare = share
		return nil
	})
}

// Logger returns the logger that the flags describe.
func (o *Options) Logger() logr.Logger { return zap.New(zap.UseFlagOptions(&o.log)) }
