// Package wmi is the little of WMI that the Hyper-V driver needs, as an interface: objects
// are asked for by query, path or association, changed by methods, and returned as plain
// values. No handle of COM leaves an implementation, so there is nothing that a caller
// could forget to close, and nothing that outlives a broken connection.
//
// wmicom implements it on Windows, wmifake in tests. Values are as scripting COM gives them
// in both: that is why they are read by As and Number and not asserted. Nothing that
// knows Hyper-V's classes may enter, except what all of its methods have alike: their
// return values and jobs.
package wmi
