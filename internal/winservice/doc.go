// Package winservice makes the host agent a service of Windows: what the service
// is configured as, what has to be done so that a host has it so, how the service
// answers the service control manager, and how log lines become events.
//
// All of it is decided here and can be tested anywhere. What is asked of Windows
// goes through the interfaces in system.go; the folder scm below has the calls,
// and no decision. Only the standard library and internal/cmdline may enter.
package winservice
