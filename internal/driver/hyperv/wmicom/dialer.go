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

// Dial implements wmi.Dialer.
func (Dialer) Dial(ctx context.Context, host string) (wmi.Session, error) {
	if host == "" {
		return newSession("", ""), nil
	}
	if strings.Contains(host, ".") {
		return newSession(address(host, "", false)), nil
	}
	local := newSession("", "")
	defer local.Close()
	own, err := local.Query(ctx, wmi.Query{Namespace: wmi.CIMv2, Class: "Win32_ComputerSystem", Properties: []string{"Domain", "PartOfDomain"}})
	if err != nil {
		return nil, err
	}
	if len(own) == 0 {
		return nil, &wmi.Error{Doing: "find the domain of this host", Code: wmi.CodeNotFound}
	}
	return newSession(address(host, own[0].String("Domain"), own[0].Bool("PartOfDomain"))), nil
}
