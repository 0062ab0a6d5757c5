package wmifake

import (
	"fmt"
	"strconv"
	"time"
)

// Shrink lets a host say that it has so many processors and so much memory: hosts of one failover cluster need not be alike.
func (w *World) Shrink(node string, processors, memoryMiB int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	computer := w.node(node).of("Win32_ComputerSystem")[0]
	computer.set("NumberOfLogicalProcessors", processors)
	computer.set("TotalPhysicalMemory", memoryMiB<<20)
}

// SetZone lets a host tell its times so many minutes ahead of UTC. What happened when stays.
func (w *World) SetZone(node string, minutes int) {
	const layout = "20060102150405.000000"
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.node(node)
	process := h.of("Win32_Process")[0]
	text := process.text("CreationDate")
	at, err := time.Parse(layout, text[:len(layout)])
	ahead, err2 := strconv.Atoi(text[len(layout):])
	if err != nil || err2 != nil {
		panic("the fake host has no time " + text)
	}
	at = at.Add(time.Duration(minutes-ahead) * time.Minute)
	process.set("CreationDate", fmt.Sprintf("%s%+04d", at.Format(layout), minutes))
}
