// Package rollout tests how NodePools roll, scale and change in place, where
// Cluster API's own reconcilers do it: on an API server with all admission there
// is, and without machines. Since none ever becomes available, a roll-out comes to
// its end only where all may be unavailable.
package rollout
