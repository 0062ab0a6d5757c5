// Package wallclock is the clock of a process whose machine's clock somebody sets while
// it runs. It is for programs of tests that stand in for shipped ones, which have no such
// switch. When a clock is set, and by how much, does not belong here.
package wallclock
