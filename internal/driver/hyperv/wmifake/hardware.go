package wmifake

// Shrink lets a host say that it has so many processors and so much memory: hosts of one failover cluster need not be alike.
func (w *World) Shrink(node string, processors, memoryMiB int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	computer := w.node(node).of("Win32_ComputerSystem")[0]
	computer.set("NumberOfLogicalProcessors", processors)
	computer.set("TotalPhysicalMemory", memoryMiB<<20)
}
