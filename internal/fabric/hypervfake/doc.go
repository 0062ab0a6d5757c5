// Package hypervfake is a simulated physical world whose hosts speak WMI, as hosts with
// Hyper-V do: the strict fake of the Hyper-V driver's tests (wmifake), with the fabric's
// guests in its VMs. An agent's driver there is the one that ships; each call that it makes
// goes to the fake over the socket of its host (wmiremote).
//
// It joins the two and adds what time does: guests take a while to boot and to stop, and a
// failover cluster waits for a lost host. Auditors see it on the admin socket of a fabric. Its state is in
// its process alone.
//
// It is for development and tests, like all of the fabric. How Hyper-V behaves belongs
// to wmifake, and what guests do to the fabric.
package hypervfake
