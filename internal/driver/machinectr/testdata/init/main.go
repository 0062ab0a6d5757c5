// Command init is a guest that does nothing: it boots, and powers off when it is
// asked to, as systemd does.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	asked := make(chan os.Signal, 1)
	// SIGRTMIN+3.
	signal.Notify(asked, syscall.Signal(37))
	<-asked
}
