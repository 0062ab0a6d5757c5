// Package lbclient is the manager's side of the connection to load-balancer VMs:
// it dials them, enrols them, renews their certificates, gives them their plans
// and follows their status. Every error is an *lbapi.Error.
//
// It decides nothing: what a plan says comes from internal/lbplan, and what an
// error means for an object is the LoadBalancer controller's business.
package lbclient
