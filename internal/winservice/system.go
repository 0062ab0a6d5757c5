package winservice

import (
	"context"
	"errors"
	"time"
)

// ErrNotInstalled means that there is no such service.
var ErrNotInstalled = errors.New("service is not installed")

// State is what a service is doing.
type State int

// The states of a service.
const (
	Stopped State = iota
	Starting
	Running
	Stopping
	OtherState
)

// String implements fmt.Stringer.
func (s State) String() string {
	return [...]string{"stopped", "starting", "running", "stopping", "neither running nor stopped"}[s]
}

// Installed is a service as it is.
type Installed struct {
	Config Config
	// Unreadable is why not all of Config is known. A service can be stopped and
	// removed without.
	Unreadable error
	State      State
	// ProcessID of a service that runs.
	ProcessID uint32
	// ExitCode is what the service ended with the last time.
	ExitCode uint32
}

// Services is the service control manager.
type Services interface {
	// Query returns ErrNotInstalled where there is no such service.
	Query(name string) (Installed, error)
	Create(config Config, password Secret) error
	// Update changes the password only if there is one.
	Update(config Config, password Secret) error
	// Delete removes a service that is stopped.
	Delete(name string) error
	// Start and Stop only ask for it.
	Start(name string) error
	Stop(name string) error
}

// Folder is what is to be known of a folder.
type Folder struct {
	Exists bool
	// Link tells that it is a junction or a link: what it leads to is somebody
	// else's to say.
	Link bool
	// Empty tells that nothing is in it.
	Empty bool
	// Security is owner and access control list, in the text form of security
	// descriptors (SDDL).
	Security string
}

// Folders are the host's.
type Folders interface {
	Inspect(path string) (Folder, error)
	// Guard makes the folder if need be, and sets owner and access control list.
	Guard(path, security string) error
}

// EventSources are those of the event log Application.
type EventSources interface {
	Registered(name string) (bool, error)
	Register(name string) error
	Unregister(name string) error
}

// Accounts are those that the host knows.
type Accounts interface {
	// MayLogOnAsService tells whether the account itself was given the right.
	MayLogOnAsService(account string) (bool, error)
	GrantLogOnAsService(account string) error
}

// System is Windows, as far as the service needs it.
type System struct {
	Services     Services
	Folders      Folders
	EventSources EventSources
	Accounts     Accounts
	// Wait waits for a time, or for ctx.
	Wait func(ctx context.Context, d time.Duration) error
}
