package hypervhost

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// renewEvery is how old the time of a host's last answer may get in its status while it
// answers. Written at every answer it would be most of what the API server is asked to
// write; what counts is the moment at which a host fell silent, and that is written with
// the condition that says so. A manager that was killed leaves a time that is this old at
// most.
const renewEvery = 5 * time.Minute

// setLastAnswer tells when the agent answered last, as far as this process has heard.
func setLastAnswer(s *scope) {
	agent := s.host.Status.Agent
	if agent == nil || s.answered.IsZero() {
		return
	}
	last := metav1.NewTime(s.answered.Truncate(time.Second))
	if was := agent.LastAnswerTime; was == nil || last.Sub(was.Time) >= renewEvery || !conditions.IsTrue(s.host, capstanv1.AgentConnectedCondition) {
		agent.LastAnswerTime = &last
	}
}
