package wmifake

import "slices"

// What happens to the power of hosts, and what becomes of their VMs.

// LoseNode takes the power from a node.
func (w *World) LoseNode(node string) {
	w.mu.Lock()
	defer w.unlock()
	w.lose(w.node(node))
}

func (w *World) lose(h *host) {
	h.down = true
	for _, v := range h.vms {
		ran := v.on() && v.system.number("EnabledState") != shuttingDown
		w.turn(v, disabled)
		v.lost = ran
	}
}

// RestoreNode boots a node that lost its power. VMs start that the failover cluster has left there, or that are told to
// start with their host.
func (w *World) RestoreNode(node string) {
	w.mu.Lock()
	defer w.unlock()
	w.restore(w.node(node))
}

func (w *World) restore(h *host) {
	h.down = false
	w.boot(h)
	for _, v := range h.vms {
		if w.startsAgain(v) {
			w.turn(v, enabled)
		}
	}
}

// startsAgain tells whether a VM starts once its host is back.
func (w *World) startsAgain(v *vm) bool {
	if w.cluster != nil && w.cluster.group(v.system.text("ElementName")) != nil {
		return v.lost
	}
	// 2 is never, 3 if it was on, 4 always; a VM that nobody told starts if it was on.
	action := v.settings.number("AutomaticStartupAction")
	return action == 4 || (v.lost && action != 2)
}

// PowerCycle takes the power from a host, and gives it back.
func (w *World) PowerCycle(node string) {
	w.mu.Lock()
	defer w.unlock()
	h := w.node(node)
	w.lose(h)
	w.restore(h)
}

// FailOver lets the failover cluster bring the VMs of lost nodes to others, and start there what ran: of all lost nodes
// unless some are named.
func (w *World) FailOver(nodes ...string) {
	w.mu.Lock()
	defer w.unlock()
	for _, h := range w.hosts {
		if !h.down || (len(nodes) > 0 && !slices.Contains(nodes, h.name)) {
			continue
		}
		for _, v := range slices.Clone(h.vms) {
			role, heir := w.cluster.group(v.system.text("ElementName")), w.roomiest()
			if role == nil || heir == nil || heir.free(w) < v.memoryMiB() {
				continue
			}
			role.set("OwnerNode", heir.name)
			heir.take(h, v)
			if v.lost {
				w.turn(v, enabled)
			}
		}
	}
}

// roomiest is the node with most memory free of those that the failover cluster hears of.
func (w *World) roomiest() *host {
	var best *host
	for _, h := range w.hosts {
		if !h.down && !h.isolated && (best == nil || h.free(w) > best.free(w)) {
			best = h
		}
	}
	return best
}
