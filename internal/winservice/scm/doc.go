// Package scm asks Windows what internal/winservice wants to know and do: the
// service control manager, folders' access control lists, the event log and
// account rights. It decides nothing, for nothing in it can be tested elsewhere
// than on Windows. Only internal/winservice and golang.org/x/sys/windows may enter.
package scm
