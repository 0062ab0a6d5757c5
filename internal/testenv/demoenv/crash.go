package demoenv

import "slices"

// Names of processes that may be killed; an agent's is that of AgentName.
const (
	Manager   = managerName
	APIServer = "kube-apiserver"
)

// AgentName is the name of the process of a host's agent.
func AgentName(host string) string { return agentPrefix + host }

// Crash kills a process with SIGKILL and starts it again as it was started before, as
// an init system would: it does not wait until the process is ready.
func (e *Env) Crash(name string) error {
	p := e.process(name)
	p.Kill()
	if e.process(name) != p {
		// It was about to end by itself, and was started again for that.
		return nil
	}
	_, err := e.again(p)
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
