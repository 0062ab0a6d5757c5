// Command init is a guest that does nothing: it boots, says as many lines as
// /etc/lines tells, and powers off when it is asked to, as systemd does.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

func main() {
	asked := make(chan os.Signal, 1)
	// SIGRTMIN+3.
	signal.Notify(asked, syscall.Signal(37))
	text, _ := os.ReadFile("/etc/lines")
	lines, _ := strconv.Atoi(string(text))
	for n := range lines {
		fmt.Printf("line %d of what the guest has to say\n", n+1)
	}
	<-asked
}
