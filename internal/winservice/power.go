package winservice

import "fmt"

func (s System) planStart() ([]Step, error) {
	installed, err := s.Services.Query(Name)
	if err != nil {
		return nil, fmt.Errorf("look at service %s: %w", Name, err)
	}
	if installed.State == Running {
		return nil, nil
	}
	return []Step{s.startStep()}, nil
}

func (s System) planStop() ([]Step, error) {
	installed, err := s.Services.Query(Name)
	if err != nil {
		return nil, fmt.Errorf("look at service %s: %w", Name, err)
	}
	if installed.State == Stopped {
		return nil, nil
	}
	return []Step{s.stopStep()}, nil
}
