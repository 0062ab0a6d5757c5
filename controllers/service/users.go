package service

// forget says that a Service uses no address any more.
func (v *vips) forget(service string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.wanted, service)
	v.meet(service)
}

// expect says that nothing is given back until it is known of each of some Services which
// claim it uses. What they are is asked here, so that none can go unnoticed meanwhile.
func (v *vips) expect(services func() ([]string, error)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	names, err := services()
	if err != nil {
		return err
	}
	v.unmet = map[string]bool{}
	for _, name := range names {
		v.unmet[name] = true
	}
	return nil
}

// met says that a Service uses no other claim than those that are known.
func (v *vips) met(service string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.meet(service)
}

// meet is met for those who have the lock.
func (v *vips) meet(service string) {
	if !v.unmet[service] {
		return
	}
	delete(v.unmet, service)
	if len(v.unmet) == 0 {
		v.allMet()
	}
}

func (v *vips) knowsAll() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.unmet) == 0
}

// uses tells whether a Service uses, or waits for, an address.
func (v *vips) uses(service string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.wanted[service]
	return ok
}
