package scm

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"github.com/capstan-k8s/capstan/internal/winservice"
)

// Services is the service control manager of this host.
type Services struct{}

var _ winservice.Services = Services{}

// with opens a service for one call. Rights are asked for sparingly: whoever may
// not change a service may still ask how it is.
func with(name string, managerRights, serviceRights uint32, do func(*mgr.Service) error) (err error) {
	manager, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT|managerRights)
	if err != nil {
		return fmt.Errorf("open service control manager: %w", err)
	}
	defer func() { err = errors.Join(err, windows.CloseServiceHandle(manager)) }()
	text, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return fmt.Errorf("open service: %w", err)
	}
	handle, err := windows.OpenService(manager, text, serviceRights)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return winservice.ErrNotInstalled
	}
	if err != nil {
		return fmt.Errorf("open service: %w", err)
	}
	service := &mgr.Service{Name: name, Handle: handle}
	defer func() { err = errors.Join(err, service.Close()) }()
	return do(service)
}

// Query implements winservice.Services.
func (Services) Query(name string) (winservice.Installed, error) {
	var installed winservice.Installed
	err := with(name, 0, windows.SERVICE_QUERY_CONFIG|windows.SERVICE_QUERY_STATUS, func(s *mgr.Service) error {
		status, err := s.Query()
		if err != nil {
			return fmt.Errorf("query status: %w", err)
		}
		installed.State, installed.ProcessID, installed.ExitCode = stateOf(status.State), status.ProcessId, status.Win32ExitCode
		if status.Win32ExitCode == uint32(windows.ERROR_SERVICE_SPECIFIC_ERROR) {
			installed.ExitCode = status.ServiceSpecificExitCode
		}
		installed.Config, installed.Unreadable = read(s)
		return nil
	})
	return installed, err
}

func stateOf(s svc.State) winservice.State {
	switch s {
	case svc.Stopped:
		return winservice.Stopped
	case svc.StartPending:
		return winservice.Starting
	case svc.Running:
		return winservice.Running
	case svc.StopPending:
		return winservice.Stopping
	default:
		return winservice.OtherState
	}
}

func read(s *mgr.Service) (winservice.Config, error) {
	has, err := s.Config()
	if err != nil {
		return winservice.Config{}, fmt.Errorf("query configuration: %w", err)
	}
	config := winservice.Config{
		Name: s.Name, DisplayName: has.DisplayName, Description: has.Description,
		CommandLine: has.BinaryPathName, Account: has.ServiceStartName,
		AutoStart: has.StartType == mgr.StartAutomatic, DelayedStart: has.DelayedAutoStart,
		ServiceSID: has.SidType == windows.SERVICE_SID_TYPE_UNRESTRICTED,
	}
	actions, err := s.RecoveryActions()
	if err != nil {
		return config, fmt.Errorf("query recovery actions: %w", err)
	}
	for _, a := range actions {
		// Another action than a restart is none of ours, and a difference.
		if a.Type != mgr.ServiceRestart {
			config.Restarts = nil
			break
		}
		config.Restarts = append(config.Restarts, a.Delay)
	}
	period, err := s.ResetPeriod()
	if err != nil {
		return config, fmt.Errorf("query recovery period: %w", err)
	}
	config.ForgetFailures = time.Duration(period) * time.Second
	if config.RestartOnError, err = s.RecoveryActionsOnNonCrashFailures(); err != nil {
		return config, fmt.Errorf("query recovery on errors: %w", err)
	}
	config.DrainTime, err = drainTime(s.Handle)
	return config, err
}

// drainTime is what mgr has no call for.
func drainTime(service windows.Handle) (time.Duration, error) {
	var milliseconds, needed uint32
	size := uint32(unsafe.Sizeof(milliseconds))
	if err := windows.QueryServiceConfig2(service, windows.SERVICE_CONFIG_PRESHUTDOWN_INFO, (*byte)(unsafe.Pointer(&milliseconds)), size, &needed); err != nil {
		return 0, fmt.Errorf("query time to stop at shutdown: %w", err)
	}
	return time.Duration(milliseconds) * time.Millisecond, nil
}

// Create implements winservice.Services.
func (Services) Create(c winservice.Config, password winservice.Secret) (err error) {
	manager, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("open service control manager: %w", err)
	}
	defer func() { err = errors.Join(err, manager.Disconnect()) }()
	name, err := windows.UTF16PtrFromString(c.Name)
	if err != nil {
		return err
	}
	// mgr's own call would quote the command line again.
	line, err := windows.UTF16PtrFromString(c.CommandLine)
	if err != nil {
		return err
	}
	account, err := windows.UTF16PtrFromString(c.Account)
	if err != nil {
		return err
	}
	secret, err := pointer(password)
	if err != nil {
		return err
	}
	handle, err := windows.CreateService(manager.Handle, name, name, windows.SERVICE_ALL_ACCESS, windows.SERVICE_WIN32_OWN_PROCESS,
		windows.SERVICE_DEMAND_START, windows.SERVICE_ERROR_NORMAL, line, nil, nil, nil, account, secret)
	if err != nil {
		return err
	}
	service := &mgr.Service{Name: c.Name, Handle: handle}
	defer func() { err = errors.Join(err, service.Close()) }()
	// The rest is another call. A service that has not got it is one that differs.
	return write(service, c, winservice.Secret{})
}

func pointer(password winservice.Secret) (*uint16, error) {
	if password == (winservice.Secret{}) {
		return nil, nil
	}
	text, err := windows.UTF16PtrFromString(password.Reveal())
	if err != nil {
		// The error would quote it.
		return nil, errors.New("the password has a character that cannot be passed on")
	}
	return text, nil
}

// Update implements winservice.Services.
func (Services) Update(c winservice.Config, password winservice.Secret) error {
	return with(c.Name, 0, windows.SERVICE_ALL_ACCESS, func(s *mgr.Service) error { return write(s, c, password) })
}

func write(s *mgr.Service, c winservice.Config, password winservice.Secret) error {
	sid, start := uint32(windows.SERVICE_SID_TYPE_NONE), uint32(mgr.StartManual)
	if c.ServiceSID {
		sid = windows.SERVICE_SID_TYPE_UNRESTRICTED
	}
	if c.AutoStart {
		start = mgr.StartAutomatic
	}
	if err := s.UpdateConfig(mgr.Config{
		ServiceType: windows.SERVICE_WIN32_OWN_PROCESS, StartType: start, ErrorControl: mgr.ErrorNormal,
		BinaryPathName: c.CommandLine, ServiceStartName: c.Account, DisplayName: c.DisplayName,
		Password: password.Reveal(), Description: c.Description, SidType: sid, DelayedAutoStart: c.DelayedStart,
	}); err != nil {
		return fmt.Errorf("set configuration: %w", err)
	}
	var actions []mgr.RecoveryAction
	for _, delay := range c.Restarts {
		actions = append(actions, mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: delay})
	}
	if err := s.SetRecoveryActions(actions, uint32(c.ForgetFailures/time.Second)); err != nil {
		return fmt.Errorf("set recovery actions: %w", err)
	}
	if err := s.SetRecoveryActionsOnNonCrashFailures(c.RestartOnError); err != nil {
		return fmt.Errorf("set recovery on errors: %w", err)
	}
	milliseconds := uint32(c.DrainTime / time.Millisecond)
	if err := windows.ChangeServiceConfig2(s.Handle, windows.SERVICE_CONFIG_PRESHUTDOWN_INFO, (*byte)(unsafe.Pointer(&milliseconds))); err != nil {
		return fmt.Errorf("set time to stop at shutdown: %w", err)
	}
	return nil
}

// Delete implements winservice.Services.
func (Services) Delete(name string) error {
	return with(name, 0, windows.DELETE, func(s *mgr.Service) error { return s.Delete() })
}

// Start implements winservice.Services.
func (Services) Start(name string) error {
	return with(name, 0, windows.SERVICE_START, func(s *mgr.Service) error {
		// Windows may be starting it itself.
		if err := s.Start(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
			return err
		}
		return nil
	})
}

// Stop implements winservice.Services.
func (Services) Stop(name string) error {
	return with(name, 0, windows.SERVICE_STOP|windows.SERVICE_QUERY_STATUS, func(s *mgr.Service) error {
		if _, err := s.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
			return err
		}
		return nil
	})
}
