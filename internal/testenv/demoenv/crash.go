package demoenv

import "slices"

// Names of processes that may be killed; an agent's is that of AgentName.
const (
	Manager           = managerName
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Etcd              = "etcd"
)

// AgentName is the name of the process of a host's agent.
func AgentName(host string) string { return agentPrefix + host }

// Crash kills a process with SIGKILL and starts it again as it was started before, as
// an init system would: it does not wait until the process is ready.
func (e *Env) Crash(name string) error {
	if !e.Halt(name) {
		// It was about to end by itself, and was started again for that.
		return nil
	}
	return e.Resume(name)
}

// Halt kills a process with SIGKILL and leaves it at that, as a loss of power does. It
// returns false if the process was about to end by itself, and was started again for
// that.
func (e *Env) Halt(name string) bool {
	p := e.process(name)
	p.Kill()
	return e.process(name) == p
}

// Resume starts a process that was halted as it was started before.
func (e *Env) Resume(name string) error {
	_, err := e.again(e.process(name))
	return err
}

func (e *Env) process(name string) *Process {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.running[slices.IndexFunc(e.running, func(p *Process) bool { return p.Name == name })]
}

// ManagerKubeconfig is the file by which the manager reaches the management cluster. It
// is there before the manager is started.
func (e *Env) ManagerKubeconfig() string { return e.path("manager.kubeconfig") }
