//go:build windows

package wmicom

import (
	"context"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// Dialer connects by the account of the process, over Kerberos to other hosts.
type Dialer struct{}

var _ wmi.Dialer = Dialer{}

// Dial implements wmi.Dialer. Nodes of a failover cluster are all in one domain, so a name without one is of the
// same domain as this host.
func (Dialer) Dial(ctx context.Context, host string) (wmi.Session, error) {
	if host == "" {
		return newSession("", ""), nil
	}
	if name, domain, ok := strings.Cut(host, "."); ok {
		return newSession(name, domain), nil
	}
	local := newSession("", "")
	defer local.Close()
	own, err := local.Query(ctx, wmi.Query{Namespace: wmi.CIMv2, Class: "Win32_ComputerSystem", Properties: []string{"Domain"}})
	if err != nil {
		return nil, err
	}
	domain := ""
	if len(own) > 0 {
		domain = own[0].String("Domain")
	}
	return newSession(host, domain), nil
}
