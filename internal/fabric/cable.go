package fabric

import (
	"context"
	"errors"
	"fmt"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// UnplugHost cuts the VMs of a host off their networks, or gives them back; they run
// on. A VM that comes to the host, or boots there, finds it as it is.
func (a *Admin) UnplugHost(_ context.Context, req fabricapi.SetHostRequest) (fabricapi.None, error) {
	var guests []Guest
	if _, err := a.change(func(*tx) error {
		h, err := a.host(req.Host)
		if err != nil {
			return err
		}
		h.unplugged = req.On
		for _, v := range h.site.vms {
			if v.Host == h.Name && v.guest != nil {
				guests = append(guests, v.guest)
			}
		}
		return nil
	}); err != nil {
		return fabricapi.None{}, err
	}
	var errs []error
	for _, g := range guests {
		errs = append(errs, g.Link(!req.On))
	}
	if err := errors.Join(errs...); err != nil {
		return fabricapi.None{}, fmt.Errorf("cables of host %s: %w", req.Host, err)
	}
	return fabricapi.None{}, nil
}
