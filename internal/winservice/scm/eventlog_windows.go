package scm

import (
	"errors"

	"golang.org/x/sys/windows/registry"
	"golang.org/x/sys/windows/svc/eventlog"

	"github.com/capstan-k8s/capstan/internal/winservice"
)

// EventSources are those of the event log Application.
type EventSources struct{}

var _ winservice.EventSources = EventSources{}

const sources = `SYSTEM\CurrentControlSet\Services\EventLog\Application\`

// Registered implements winservice.EventSources.
func (EventSources) Registered(name string) (bool, error) {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, sources+name, registry.QUERY_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, key.Close()
}

// Register implements winservice.EventSources.
func (EventSources) Register(name string) error {
	return eventlog.InstallAsEventCreate(name, eventlog.Info|eventlog.Warning|eventlog.Error)
}

// Unregister implements winservice.EventSources.
func (EventSources) Unregister(name string) error { return eventlog.Remove(name) }
