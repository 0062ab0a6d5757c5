package console

import "github.com/capstan-k8s/capstan/internal/hostapi"

// Read makes of what a guest wrote, the last last, how far its first configuration
// is, and the lines that explain why it is not further.
func Read(raw []string) (hostapi.GuestInit, []string) {
	if len(raw) == 0 {
		return hostapi.GuestInit{}, nil
	}
	// What hides secrets needs what stands around them, so it is first.
	m := newMask(clean(raw))
	m.hideForms()
	lines := lastBoot(m.lines())
	return progress(lines), pick(lines)
}

// Withhold keeps back what is secret of lines that an agent has told, and keeps to
// what is told at most, whatever the agent is.
func Withhold(lines []string, secrets Secrets) []string {
	if len(lines) == 0 {
		return nil
	}
	m := newMask(clean(lines))
	m.hideForms()
	m.hideSecrets(secrets)
	return bound(m.lines())
}
