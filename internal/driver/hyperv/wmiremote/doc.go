// Package wmiremote is a host's WMI, files and sources of images over a socket: what a
// driver would reach on its own host, in another process. The fake hosts of wmifake can so outlive
// the agents of a demo, which are processes of their own.
//
// A call of the driver's is one request, and one call on the other side. Values arrive in the types
// that they were given in, and errors as what they were. Files are whole in one answer: it is for
// fakes, whose files are small. It is for development; nothing that is shipped links it.
//
// Nothing of Hyper-V may enter, and nothing of a fake.
package wmiremote
