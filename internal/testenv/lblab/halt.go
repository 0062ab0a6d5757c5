package lblab

import (
	"fmt"
	"syscall"
)

// Halt stops all processes of a name where they are. The kernel goes on taking
// connections for them.
func (vm *VM) Halt(name string) error { return vm.signal(name, syscall.SIGSTOP) }

// Resume ends Halt.
func (vm *VM) Resume(name string) error { return vm.signal(name, syscall.SIGCONT) }

func (vm *VM) signal(name string, s syscall.Signal) error {
	pids, err := vm.Processes(name)
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return fmt.Errorf("send %s to %s on %s: it does not run", s, name, vm.Name)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil {
			return fmt.Errorf("send %s to %s on %s: %w", s, name, vm.Name, err)
		}
	}
	return nil
}
