// Package translate turns a WorkloadCluster and its NodePools into the Cluster
// API objects that stand for them. It is pure: what it is given decides what it
// returns, and whoever calls it applies the result. No client, clock or log may
// enter.
package translate
