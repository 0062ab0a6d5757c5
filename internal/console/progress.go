package console

import (
	"regexp"
	"slices"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

var (
	// boots are the first words of a kernel and of systemd.
	boots = regexp.MustCompile(`^Linux version \d|^Welcome to .*!$|^systemd \S+ running in system mode`)

	stageBegins = regexp.MustCompile(`^Cloud-init v\. \S+ running '([a-z:-]{1,32})' at `)
	finished    = regexp.MustCompile(`^Cloud-init v\. \S+ finished at |cloudbaseinit.* Plugins execution done`)
	works       = regexp.MustCompile(`cloudbaseinit.* Executing plugin`)
	// noSeed is cloud-init without a seed that it could read.
	noSeed = regexp.MustCompile(`finished at .* Datasource DataSourceNone`)
	// commandsFailed is what cloud-init says once a command of the seed, which is
	// kubeadm in the end, has failed: runcmd is never run again. Other modules that
	// fail, as that of NTP, keep no node from joining.
	commandsFailed = regexp.MustCompile(`Failed to run module scripts[_-]user`)
	kubeadmFailed  = regexp.MustCompile(`error execution phase`)
)

// lastBoot are the lines since the guest booted last.
func lastBoot(lines []string) []string {
	for i, line := range slices.Backward(lines) {
		if boots.MatchString(line) {
			return lines[i:]
		}
	}
	return lines
}

// progress is how far the first configuration is.
func progress(lines []string) hostapi.GuestInit {
	var out hostapi.GuestInit
	kubeadm, failed := false, false
	for _, line := range lines {
		kubeadm = kubeadm || kubeadmFailed.MatchString(line)
		failed = failed || commandsFailed.MatchString(line) || noSeed.MatchString(line)
		if stage := stageBegins.FindStringSubmatch(line); stage != nil {
			out = hostapi.GuestInit{State: hostapi.InitRunning, Stage: stage[1]}
		}
		switch {
		case finished.MatchString(line):
			out.State = hostapi.InitDone
			failed = failed || kubeadm
		case works.MatchString(line):
			out.State = hostapi.InitRunning
		}
	}
	if failed {
		out.State = hostapi.InitFailed
	}
	if out.State == hostapi.InitDone {
		out.Stage = ""
	}
	return out
}
