package metrics

// Requeued counts that a VM is looked at again because of an error of its host, by the
// class of the error.
func Requeued(class string) { standard.requeues.WithLabelValues(class).Inc() }
