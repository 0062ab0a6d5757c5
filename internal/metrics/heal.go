package metrics

// Healed counts that something was begun which makes good a fault, by the reason that
// conditions tell of it.
func Healed(cause string) { standard.heals.WithLabelValues(cause).Inc() }
