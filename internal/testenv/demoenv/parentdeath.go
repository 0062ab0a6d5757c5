package demoenv

import "runtime"

// startForever starts processes on one thread that never ends. The kernel sends
// the signal of a dead parent when the thread that started the process ends, not
// the program; on any other thread of the runtime, processes would die early.
func (s *supervisor) startForever() {
	runtime.LockOSThread()
	for start := range s.starts {
		start()
	}
}
