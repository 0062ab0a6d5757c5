package machinectr

import "github.com/capstan-k8s/capstan/internal/hostapi"

// BeforeChange has a function called before each change of the machine, in whose
// stead an error of it comes.
func (d *Driver) BeforeChange(f func() error) { d.before = f }

// Init is the process ID of a guest's init, 0 if there is none.
func (d *Driver) Init(id hostapi.VMID) (int, error) {
	g, err := d.look(id)
	return g.init, err
}

// Groups tells which control groups a VM's launcher and nspawn enter, where
// these file systems are mounted.
func Groups(host, mountinfo string, id hostapi.VMID) (launcher []string, nspawn string, err error) {
	g, err := parseCgroups(host, mountinfo)
	if err != nil {
		return nil, "", err
	}
	return g.launcher(id), g.nspawn(id), nil
}

// ConsoleOf is what is told of the console in a guest's folder.
var ConsoleOf = consoleOf
