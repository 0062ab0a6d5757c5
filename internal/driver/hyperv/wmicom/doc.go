// Package wmicom is wmi.Session over COM, by github.com/microsoft/wmi. It is the only room that
// knows COM, and the only one of the driver's that needs Windows; nothing is decided in it. What can be judged without COM,
// what its answers mean above all, is in files for every system, so that it is tested on any machine.
//
// COM objects belong to the threads of a few workers and are released before a call returns. A call that
// its caller gave up ends on its worker. A panic of the module's becomes an error, and a connection
// that broke is made anew by the next call.
package wmicom
