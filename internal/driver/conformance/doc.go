// Package conformance is the contract of hostapi.Driver as a test suite. Every
// driver runs it, unchanged, on a backend of its own: what it asks for is what
// agent and manager rely on.
//
// The suite knows no driver. What it needs of a driver's backend is in Host;
// what some backends cannot do is an ability, which a harness has or declares
// that it lacks.
package conformance
