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
