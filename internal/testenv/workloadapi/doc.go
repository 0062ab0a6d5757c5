// Package workloadapi starts API servers of workload clusters for tests: those that
// simulated guests have, without guests. It is apart from package testenv so that
// suites that need none do not link it.
package workloadapi
