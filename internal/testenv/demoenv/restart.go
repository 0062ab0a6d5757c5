package demoenv

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// shortLife is how long a program must run for its end not to count as one more
	// failure to start.
	shortLife = 10 * time.Second
	// shortLives is how often in a row a program may fail to start.
	shortLives = 3
)

// restarts starts a program again that ends although nobody asked it to, as an
// init system would, and gives it up when it does not stay up.
type restarts struct {
	now    func() time.Time
	again  func(*Process) error
	report func(line string)

	mu sync.Mutex
	// short counts the ends of each program that came too soon.
	short map[string]int
}

// ended is told that a program has ended. It returns an error if the program is
// given up.
func (r *restarts) ended(p *Process, cause error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.short[p.Name]++
	if r.now().Sub(p.started) >= shortLife {
		r.short[p.Name] = 1
	}
	if r.short[p.Name] > shortLives {
		return fmt.Errorf("it was started again %d times and did not stay up: %w", shortLives, cause)
	}
	if err := r.again(p); err != nil {
		if errors.Is(err, errStopped) {
			return nil
		}
		return errors.Join(cause, err)
	}
	r.report(fmt.Sprintf("%s has ended (%s) and is started again", p.Name, cause))
	return nil
}
