package servingcert

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What certificates live on. A serving certificate never outlives its
// authority, because an authority is replaced long before that.
const (
	// Lifetime is how long a serving certificate is valid.
	Lifetime = 30 * 24 * time.Hour
	// RenewBefore is how long before its end a serving certificate is replaced.
	RenewBefore = 10 * 24 * time.Hour
	// Backdate is how far in the past a certificate begins, for peers whose
	// clocks are wrong by a day and a time zone.
	Backdate = 25 * time.Hour

	authorityLifetime    = 5 * 365 * 24 * time.Hour
	authorityRenewBefore = 365 * 24 * time.Hour
)

const (
	// DefaultCheckInterval is how often certificates and trust are looked at.
	DefaultCheckInterval = 30 * time.Second
	// FieldOwner is the field manager of every write.
	FieldOwner = "capstan"
	// PartOfLabel marks with the value PartOf the webhook configurations and CRDs
	// whose trust is kept.
	PartOfLabel = "app.kubernetes.io/part-of"
	// PartOf is the value of PartOfLabel on everything that Capstan installs.
	PartOf = "capstan"
)

// Options say where certificates are kept and who has to trust them.
type Options struct {
	// Client reads and writes without a cache: trust is repaired before caches start.
	Client client.Client
	// Clock tells the time to judge certificates by.
	Clock clock.Clock
	// Secret holds the authority and the serving certificate. Defaults to
	// capstan-system/capstan-webhook-cert.
	Secret types.NamespacedName
	// Service is how the API server reaches the webhook server. Defaults to
	// capstan-system/capstan-webhook.
	Service types.NamespacedName
	// BaseURL is set for a manager outside the cluster: the API server then calls
	// <BaseURL><path> instead of the Service.
	BaseURL string
	// CheckInterval is how often certificates and trust are looked at while the
	// manager runs. Defaults to DefaultCheckInterval.
	CheckInterval time.Duration
}

func (o *Options) complete() error {
	if o.Client == nil || o.Clock == nil {
		return errors.New("a serving certificate needs a client and a clock")
	}
	if o.Secret == (types.NamespacedName{}) {
		o.Secret = types.NamespacedName{Namespace: "capstan-system", Name: "capstan-webhook-cert"}
	}
	if o.Service == (types.NamespacedName{}) {
		o.Service = types.NamespacedName{Namespace: "capstan-system", Name: "capstan-webhook"}
	}
	if o.CheckInterval == 0 {
		o.CheckInterval = DefaultCheckInterval
	}
	if o.BaseURL == "" {
		return nil
	}
	base, err := url.Parse(o.BaseURL)
	if err != nil {
		return fmt.Errorf("reading the webhooks' base URL: %w", err)
	}
	if base.Scheme != "https" || base.Hostname() == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return fmt.Errorf("the webhooks' base URL %q is not of the form https://host:port[/path]", base.Redacted())
	}
	return nil
}

// names are the DNS names and addresses by which the API server may call.
func (o *Options) names() names {
	service := o.Service.Name + "." + o.Service.Namespace
	n := names{dns: []string{service, service + ".svc", service + ".svc.cluster.local"}}
	if o.BaseURL == "" {
		return n
	}
	base, err := url.Parse(o.BaseURL)
	if err != nil {
		return n
	}
	if ip := net.ParseIP(base.Hostname()); ip != nil {
		n.ips = append(n.ips, ip)
	} else {
		n.dns = append(n.dns, base.Hostname())
	}
	return n
}
