package scm

import (
	"context"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"

	"github.com/capstan-k8s/capstan/internal/winservice"
)

const securityAttributesSize = uint32(unsafe.Sizeof(windows.SecurityAttributes{}))

// System returns this host.
func System() winservice.System {
	return winservice.System{
		Services: Services{}, Folders: Folders{}, EventSources: EventSources{}, Accounts: Accounts{},
		Wait: func(ctx context.Context, d time.Duration) error {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
}

// IsService tells whether the service control manager started this process.
func IsService() (bool, error) { return svc.IsWindowsService() }

// OpenEvents opens the event log under the agent's source.
func OpenEvents() (*eventlog.Log, error) { return eventlog.Open(winservice.Name) }

// Run lets the service control manager run serve as the service. It returns when
// the service has ended.
func Run(serve func(ctx context.Context, ready func()) int) error {
	return svc.Run(winservice.Name, handler{serve: serve})
}

type handler struct {
	serve func(ctx context.Context, ready func()) int
}

// Execute implements svc.Handler.
func (h handler) Execute(_ []string, requests <-chan svc.ChangeRequest, changes chan<- svc.Status) (specific bool, code uint32) {
	controls := make(chan winservice.Control)
	ended := make(chan struct{})
	defer close(ended)
	go pass(requests, controls, ended)
	ticker := time.NewTicker(winservice.ProgressEvery)
	defer ticker.Stop()
	exit := winservice.Supervision{
		Serve: h.serve, Controls: controls, Progress: ticker.C,
		Report: func(r winservice.Report) { changes <- statusOf(r) },
	}.Run(context.Background())
	return true, uint32(exit)
}

// pass hands controls on until the service has ended.
func pass(requests <-chan svc.ChangeRequest, controls chan<- winservice.Control, ended <-chan struct{}) {
	for {
		select {
		case request := <-requests:
			control := winservice.ControlInterrogate
			if request.Cmd == svc.Stop || request.Cmd == svc.PreShutdown {
				control = winservice.ControlStop
			}
			select {
			case controls <- control:
			case <-ended:
				return
			}
		case <-ended:
			return
		}
	}
}

// statusOf is a report in the words of Windows. A service that is told before the
// shutdown begins has longer than one that is told with all others.
func statusOf(r winservice.Report) svc.Status {
	status := svc.Status{CheckPoint: r.CheckPoint, WaitHint: uint32(r.WaitHint / time.Millisecond)}
	switch r.State {
	case winservice.Starting:
		status.State, status.Accepts = svc.StartPending, svc.AcceptStop|svc.AcceptPreShutdown
	case winservice.Running:
		status.State, status.Accepts = svc.Running, svc.AcceptStop|svc.AcceptPreShutdown
	default:
		status.State = svc.StopPending
	}
	return status
}
