// Package wmifake is hosts with Hyper-V that are not there: a wmi.Session that is as strict as
// Windows' schemas and as awkward as COM, with a file system behind it, for one stand-alone host
// or the nodes of a failover cluster.
//
// A class, property, method or parameter that the schemas lack fails the test. Values come back
// in COM's types. Work runs as jobs. Faults can be put before and after the effect of every call,
// and a driver can be killed after each. How Hyper-V's services behave is modelled as far as the
// driver relies on it; what is refused here is what Windows documents to refuse.
//
// Nothing of the driver's may enter, so that both cannot share a mistake.
package wmifake
