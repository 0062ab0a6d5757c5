package traffic

import (
	"time"
)

// Try asks once and returns who answered.
func Try(target string, timeout time.Duration) (by string, err error) {
	a := &Asking{options: Options{Target: target, Timeout: timeout}}
	a.dialer.Timeout = timeout
	by, _, err = a.ask(time.Now())
	return by, err
}
