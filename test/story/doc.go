// Package story tells the demo's story while somebody kills the manager and the
// agents, and proves that this changes nothing in its end. It looks at the hosts
// and at the API server, and never asks the manager.
//
// It starts the real programs, takes minutes and a machine of its own, so
// hack/story.sh runs it and not hack/test.sh. What a single part does when it is
// killed at a certain line belongs to that part's own tests, not here.
package story
