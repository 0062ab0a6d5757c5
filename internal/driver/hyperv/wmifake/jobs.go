package wmifake

import (
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmischema"
)

// behaviour is what a method does. It changes the world or refuses.
type behaviour func(*call) error

// call is a method that is being called. Its IN parameters are its values.
type call struct {
	object
	world   *World
	host    *host
	graph   *graph
	self    *object
	results map[string]any
	code    int64
	// failure is how the job of the call ends, if that is not well.
	failure *failure
}

type failure struct {
	code    int64
	message string
}

// refuse is the answer of a method that does nothing.
func (c *call) refuse(code int64) error {
	c.code = code
	return nil
}

// fail is the end of a job that does nothing. Windows has causes only in its messages.
func (c *call) fail(code int64, message string) error {
	c.failure = &failure{code, message}
	return nil
}

// immediate are methods that never go on as a job.
var immediate = map[string]bool{
	"ModifySystemSettings": true, "ModifyResourceSettings": true, "AddFeatureSettings": true, "GetVirtualHardDiskSettingData": true,
}

// answer is what the caller gets: of a method that goes on as a job, nothing but the job.
func (c *call) answer(m wmischema.Method, out []string) wmi.Values {
	values := wmi.Values{}
	if m.Returns {
		values[wmi.ReturnValue] = int32(c.code)
	}
	_, hasJob := m.Out["job"]
	job := c.code == wmi.Completed && hasJob && (c.failure != nil || !immediate[m.Name])
	for _, name := range out {
		kind := m.Out[strings.ToLower(name)]
		switch {
		case strings.EqualFold(name, "Job") && job:
			values[wmi.ReturnValue] = int32(wmi.JobStarted)
			values[name] = c.world.start(c.graph, c.failure).path
		case job || c.code != wmi.Completed:
			values[name] = nil
		default:
			values[name] = com(c.results[strings.ToLower(name)], kind)
		}
	}
	return values
}

// job is work that goes on.
type job struct {
	failure *failure
	looks   int
	trouble JobTrouble
}

// JobTrouble is what befalls a job.
type JobTrouble int

// Troubles of jobs.
const (
	// JobStalls is a job that goes on for ever.
	JobStalls JobTrouble = iota + 1
	// JobVanishes is a job that is gone before its end was seen, as when its service is restarted.
	JobVanishes
	// JobFailsBare is a job that fails with neither code nor text.
	JobFailsBare
)

// TroubleJobs lets jobs that begin from now on have a trouble, 0 for none. Their work is done all the same.
func (w *World) TroubleJobs(t JobTrouble) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble = t
}

func (w *World) start(g *graph, f *failure) *object {
	o := g.add(wmi.Virtualization, "Msvm_ConcreteJob", w.name("job"), map[string]any{"JobState": int64(3), "PercentComplete": int64(0)})
	w.jobs[o] = &job{failure: f, trouble: w.trouble}
	return o
}

// keptJobs is how many jobs stay after their end: Windows forgets them after minutes.
const keptJobs = 64

// look lets a job go on by a step. It tells whether the job is still there.
func (w *World) look(g *graph, o *object) bool {
	j := w.jobs[o]
	j.looks++
	if j.looks == 2 && j.trouble != JobStalls {
		w.looked = append(w.looked, func() {
			g.remove(o)
			delete(w.jobs, o)
		})
		if len(w.looked) > keptJobs {
			w.looked[0]()
			w.looked = w.looked[1:]
		}
	}
	switch {
	case j.trouble == JobVanishes:
		g.remove(o)
		return false
	case j.looks == 1 || j.trouble == JobStalls:
		// It is at 100% before it has ended.
		o.set("JobState", int64(4))
		o.set("PercentComplete", int64(100))
	case j.trouble == JobFailsBare:
		o.set("JobState", int64(10))
	case j.failure != nil:
		o.set("JobState", int64(10))
		o.set("ErrorCode", j.failure.code)
		o.set("ErrorDescription", j.failure.message)
	default:
		o.set("JobState", int64(7))
	}
	return true
}
