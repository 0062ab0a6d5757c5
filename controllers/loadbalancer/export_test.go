package loadbalancer

// RetryAfter is tested by itself: nobody waits for the tenth try.
var RetryAfter = retryAfter
