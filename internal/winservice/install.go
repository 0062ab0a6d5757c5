package winservice

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Step is something that has to be done.
type Step struct {
	// Text says in the imperative what.
	Text string
	do   func(context.Context) error
}

// Request is what an installation is to reach.
type Request struct {
	Wanted
	// TakeToken hands over the enrolment token, with the agent stopped, and returns
	// in words what it did. It is nil where there is none.
	TakeToken func() (string, error)
	// Start has the service running in the end.
	Start bool
}

// PlanInstall returns what has to be done so that the host has the service as
// requested: nothing where it has. Nothing is changed.
func (s System) PlanInstall(r Request) ([]Step, error) {
	config, err := r.Config()
	if err != nil {
		return nil, err
	}
	if err := checkProgram(s.Folders, r.Program); err != nil {
		return nil, err
	}
	installed, err := s.Services.Query(Name)
	exists := err == nil
	if err != nil && !errors.Is(err, ErrNotInstalled) {
		return nil, fmt.Errorf("look at service %s: %w", Name, err)
	}
	if installed.Unreadable != nil {
		return nil, fmt.Errorf("look at service %s: %w", Name, installed.Unreadable)
	}
	differences := Differences(installed.Config, config)
	newAccount := !exists || hasDifference(differences, "account")
	if newAccount && needsPassword(config.Account) && r.Password == (Secret{}) {
		return nil, fmt.Errorf("account %s needs its password: give it by --password-stdin", config.Account)
	}

	plan, err := s.planSurroundings(config, r.StateDir)
	if err != nil {
		return nil, err
	}
	running := exists && installed.State != Stopped
	change := exists && (len(differences) > 0 || r.Password != Secret{})
	if running && (change || r.TakeToken != nil) {
		plan = append(plan, s.stopStep())
		running = false
	}
	if !exists {
		plan = append(plan, Step{Text: "create service " + Name + ", which runs as " + config.Account, do: func(context.Context) error {
			return s.Services.Create(config, r.Password)
		}})
	}
	if change {
		plan = append(plan, Step{Text: changeText(differences), do: func(context.Context) error {
			return s.Services.Update(config, r.Password)
		}})
	}
	if r.TakeToken != nil {
		plan = append(plan, Step{Text: "hand over the enrolment token, and remove its file", do: func(context.Context) error {
			_, err := r.TakeToken()
			return err
		}})
	}
	if r.Start && !running {
		plan = append(plan, s.startStep())
	}
	return plan, nil
}

// planSurroundings is what the service needs before it can be created.
func (s System) planSurroundings(config Config, stateDir string) ([]Step, error) {
	var plan []Step
	guarded, err := checkState(s.Folders, stateDir)
	if err != nil {
		return nil, err
	}
	if !guarded {
		plan = append(plan, Step{Text: "leave state folder " + stateDir + " to administrators and the service", do: func(context.Context) error {
			return s.Folders.Guard(stateDir, stateSecurity(Name))
		}})
	}
	registered, err := s.EventSources.Registered(Name)
	if err != nil {
		return nil, fmt.Errorf("look at event source %s: %w", Name, err)
	}
	if !registered {
		plan = append(plan, Step{Text: "register event source " + Name, do: func(context.Context) error {
			return s.EventSources.Register(Name)
		}})
	}
	if needsLogonRight(config.Account) {
		may, err := s.Accounts.MayLogOnAsService(config.Account)
		if err != nil {
			return nil, fmt.Errorf("look at rights of account %s: %w", config.Account, err)
		}
		if !may {
			plan = append(plan, Step{Text: "let account " + config.Account + " log on as a service", do: func(context.Context) error {
				return s.Accounts.GrantLogOnAsService(config.Account)
			}})
		}
	}
	return plan, nil
}

// PlanUninstall returns what has to be done so that the service is gone. The
// state folder stays: with it goes the agent's identity.
func (s System) PlanUninstall() ([]Step, error) {
	var plan []Step
	installed, err := s.Services.Query(Name)
	switch {
	case errors.Is(err, ErrNotInstalled):
	case err != nil:
		return nil, fmt.Errorf("look at service %s: %w", Name, err)
	default:
		if installed.State != Stopped {
			plan = append(plan, s.stopStep())
		}
		plan = append(plan, Step{Text: "delete service " + Name, do: func(context.Context) error { return s.Services.Delete(Name) }})
	}
	registered, err := s.EventSources.Registered(Name)
	if err != nil {
		return nil, fmt.Errorf("look at event source %s: %w", Name, err)
	}
	if registered {
		plan = append(plan, Step{Text: "remove event source " + Name, do: func(context.Context) error { return s.EventSources.Unregister(Name) }})
	}
	return plan, nil
}

// Carry does the steps in order, and tells of each before it does it. The first
// that fails ends it; doing it all again goes on from there.
func Carry(ctx context.Context, plan []Step, tell func(text string)) error {
	for _, step := range plan {
		tell(step.Text)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.Text, err)
		}
	}
	return nil
}

func hasDifference(differences []Difference, what string) bool {
	for _, d := range differences {
		if d.What == what {
			return true
		}
	}
	return false
}

func changeText(differences []Difference) string {
	text := "change service " + Name
	if len(differences) == 0 {
		return text + ": password"
	}
	for i, d := range differences {
		text += [2]string{": ", "; "}[min(i, 1)] + d.String()
	}
	return text
}

const (
	lookAgainAfter = 250 * time.Millisecond
	// startWithin is longer than a driver takes to find that its hypervisor does not
	// answer.
	startWithin = 90 * time.Second
	stopWithin  = time.Minute
)

func (s System) startStep() Step {
	return Step{Text: "start service " + Name, do: func(ctx context.Context) error {
		if err := s.Services.Start(Name); err != nil {
			return err
		}
		return s.await(ctx, Running, startWithin)
	}}
}

func (s System) stopStep() Step {
	return Step{Text: "stop service " + Name + "; virtual machines keep running", do: func(ctx context.Context) error {
		if err := s.Services.Stop(Name); err != nil {
			return err
		}
		return s.await(ctx, Stopped, stopWithin)
	}}
}

// await looks until the service is in a state.
func (s System) await(ctx context.Context, wanted State, within time.Duration) error {
	for waited := time.Duration(0); ; waited += lookAgainAfter {
		installed, err := s.Services.Query(Name)
		switch {
		case err != nil:
			return err
		case installed.State == wanted:
			return nil
		case wanted == Running && installed.State == Stopped:
			return fmt.Errorf("it ended at once with code %d: the event log Application has the reason, under the source %s", installed.ExitCode, Name)
		case waited >= within:
			return fmt.Errorf("it is %s after %s", installed.State, within)
		}
		if err := s.Wait(ctx, lookAgainAfter); err != nil {
			return err
		}
	}
}
