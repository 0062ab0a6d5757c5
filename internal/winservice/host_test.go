package winservice_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/capstan-k8s/capstan/internal/winservice"
)

const (
	programDir = `C:\Program Files\Capstan`
	stateDir   = `C:\ProgramData\Capstan`
	// programFiles is what Windows gives to folders below Program Files.
	programFiles = "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464D:AI(A;ID;FA;;;SY)(A;OICIIOID;GA;;;SY)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;BA)(A;ID;0x1200a9;;;BU)(A;OICIIOID;GXGR;;;BU)(A;OICIIOID;GA;;;CO)"
	// programData is what it gives to folders below ProgramData.
	programData = "O:BAD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;OICIID;0x1200a9;;;BU)(A;CIID;DCLCRPCR;;;BU)"
)

var errDenied = errors.New("access is denied")

// host is a Windows that keeps what it is told. A service on it does at once what
// it is asked, in as many looks as slow says.
type host struct {
	service  *winservice.Installed
	password string
	target   winservice.State
	slow     int
	// ends makes the service end with this code as soon as it is started.
	ends uint32

	folders map[string]winservice.Folder
	sources []string
	logOn   []string

	calls []string
	// fails is the call that is denied.
	fails string
}

func newHost() *host {
	return &host{folders: map[string]winservice.Folder{programDir: {Exists: true, Security: programFiles}}}
}

func (h *host) system() winservice.System {
	return winservice.System{
		Services: h, Folders: h, EventSources: h, Accounts: h,
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

func (h *host) call(name string) error {
	h.calls = append(h.calls, name)
	if h.fails == name {
		return errDenied
	}
	return nil
}

func (h *host) Query(string) (winservice.Installed, error) {
	if h.fails == "query" {
		return winservice.Installed{}, errDenied
	}
	if h.service == nil {
		return winservice.Installed{}, winservice.ErrNotInstalled
	}
	if h.service.State != h.target {
		if h.slow--; h.slow < 0 {
			h.service.State = h.target
		}
	}
	return *h.service, nil
}

func (h *host) Create(c winservice.Config, password winservice.Secret) error {
	if h.service != nil {
		return errors.New("it exists")
	}
	h.service, h.password = &winservice.Installed{Config: c}, password.Reveal()
	return h.call("create")
}

func (h *host) Update(c winservice.Config, password winservice.Secret) error {
	h.service.Config = c
	if password.Reveal() != "" {
		h.password = password.Reveal()
	}
	return h.call("update")
}

func (h *host) Delete(string) error {
	if h.service.State != winservice.Stopped {
		return errors.New("it runs")
	}
	h.service = nil
	return h.call("delete")
}

func (h *host) Start(string) error {
	h.service.State, h.target = winservice.Starting, winservice.Running
	if h.ends != 0 {
		h.service.State, h.target, h.service.ExitCode = winservice.Stopped, winservice.Stopped, h.ends
	}
	return h.call("start")
}

func (h *host) Stop(string) error {
	h.service.State, h.target = winservice.Stopping, winservice.Stopped
	return h.call("stop")
}

func (h *host) Inspect(path string) (winservice.Folder, error) { return h.folders[path], nil }

func (h *host) Guard(path, security string) error {
	folder := h.folders[path]
	folder.Exists, folder.Empty, folder.Security = true, true, security
	h.folders[path] = folder
	return h.call("guard")
}

func (h *host) Registered(name string) (bool, error) { return slices.Contains(h.sources, name), nil }

func (h *host) Register(name string) error {
	h.sources = append(h.sources, name)
	return h.call("register")
}

func (h *host) Unregister(name string) error {
	h.sources = slices.DeleteFunc(h.sources, func(s string) bool { return s == name })
	return h.call("unregister")
}

func (h *host) MayLogOnAsService(account string) (bool, error) {
	return slices.Contains(h.logOn, account), nil
}

func (h *host) GrantLogOnAsService(account string) error {
	h.logOn = append(h.logOn, account)
	return h.call("grant")
}
