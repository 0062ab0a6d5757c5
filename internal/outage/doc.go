// Package outage knows what it means that hosts are silent: for how long that may be so
// until what is on them is presumed lost, and when so many are silent at once, or so many
// volumes gone, that nothing is replaced for it. All who replace VMs ask one Watch, so that
// one outage is known by one memory. It knows hosts and times. What else speaks for a loss,
// and what is done about one, is for those to know who ask; nothing of machines, nodes or
// load balancers may enter.
package outage
