package lbclient

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/enrol"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// Enrol makes the VM, which waits with token, the manager's. record is called
// with the VM's pin before the VM is bound, and must have stored it when it
// returns nil.
func Enrol(ctx context.Context, target Target, manager *pki.ManagerIdentity, token pki.Token, record func(context.Context, pki.Pin) error) error {
	ctx, cancel := context.WithTimeout(ctx, enrolTimeout)
	defer cancel()
	return typed("enrol", target.Agent.Name, enrol.Enrol(ctx, target.Address, manager, target.Agent, token, record))
}

// Renew gives the VM a new certificate, whatever the dates of its present one.
func Renew(ctx context.Context, target Target, manager *pki.ManagerIdentity) error {
	ctx, cancel := context.WithTimeout(ctx, enrolTimeout)
	defer cancel()
	return typed("renew certificate of", target.Agent.Name, enrol.Renew(ctx, target.Address, manager, target.Agent))
}
