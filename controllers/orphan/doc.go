// Package orphan finds what hosts hold with this installation's stamp although there is
// no object for it any more, reports it on the HyperVHost, and removes it by the same
// ownership-checked call by which every VM is removed. docs/orphans.md is its guide.
//
// It is the only room that removes something for which there is no object, so it has
// rules of its own:
//
// The agents are asked first, and the API server after them. Nothing is made on a host
// but for an object that was there before, so what an agent lists had its object when it
// was listed, unless that was gone by then. Asked the other way round, a VM whose object
// was created between the two questions would look like an orphan. What remains is a VM
// that was deleted as usual between the two: it is not listed again, and nobody minds if
// it is removed twice.
//
// A host that makes a VM after its object has gone, because a call or its journal was
// late, is found by the next sweep: whoever listed it first saw nothing.
//
// Nothing is judged by a cache. Nothing is removed unless the status that was written says
// so, and it does not begin to say so before one and the same process has found the orphan
// in two sweeps; a manager that is killed between report and removal leaves a report from
// which the next one goes on. The API server is asked once more just before anything is
// removed.
//
// What bears another installation's stamp, or none, is neither counted nor touched. A
// failover cluster is one place: it is judged as a whole or not at all. What an object has
// on another host is no orphan, wherever it stands: it is told of and left alone.
package orphan
