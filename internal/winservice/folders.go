package winservice

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// checkProgram refuses a program that others could replace: the service would
// run theirs.
func checkProgram(folders Folders, program string) error {
	dir := program[:strings.LastIndexByte(program, '\\')]
	// C: is the current folder of the drive, C:\ its root.
	if strings.HasSuffix(dir, ":") {
		dir += `\`
	}
	folder, err := folders.Inspect(dir)
	if err != nil {
		return fmt.Errorf("look at program's folder %s: %w", dir, err)
	}
	s, err := parseSecurity(folder.Security)
	if err != nil {
		return fmt.Errorf("look at program's folder %s: %w", dir, err)
	}
	writers := s.writers(ServiceSID(Name))
	if !administrators(s.owner) && !slices.Contains(writers, s.owner) {
		writers = append(writers, s.owner)
	}
	if folder.Link || len(writers) > 0 {
		return fmt.Errorf("program lies in %s, where others than administrators could replace it (link: %t; writers: %s): copy it to a folder below Program Files and install from there", dir, folder.Link, strings.Join(writers, ", "))
	}
	return nil
}

// checkState refuses a state folder whose content others may have made, and tells
// whether it is guarded as it should be.
func checkState(folders Folders, dir string) (guarded bool, err error) {
	folder, err := folders.Inspect(dir)
	if err != nil {
		return false, fmt.Errorf("look at state folder %s: %w", dir, err)
	}
	if !folder.Exists {
		return false, nil
	}
	if folder.Link {
		return false, fmt.Errorf("state folder %s is a link: name the folder that it leads to", dir)
	}
	s, err := parseSecurity(folder.Security)
	if err != nil {
		return false, fmt.Errorf("look at state folder %s: %w", dir, err)
	}
	service := ServiceSID(Name)
	if !administrators(s.owner) && s.owner != service {
		return false, fmt.Errorf("state folder %s belongs to %s, who is neither the system nor an administrator: remove it, or name another", dir, s.owner)
	}
	if writers := s.writers(service); len(writers) > 0 && !folder.Empty {
		return false, fmt.Errorf("state folder %s is not empty, and %s could have put files there: empty it, or name another", dir, strings.Join(writers, ", "))
	}
	wanted, err := parseSecurity(stateSecurity(Name))
	if err != nil {
		return false, err
	}
	return s.owner == wanted.owner && s.protected && sameEntries(s.entries, wanted.entries), nil
}

func sameEntries(a, b []entry) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(e entry) bool { return !slices.Contains(b, e) })
}

// GuardState makes sure, before the agent writes its key, that nobody else may
// read it. An agent that was started by hand makes the folder; a service cannot,
// and has no need to: it was installed.
func GuardState(folders Folders, dir string) error {
	folder, err := folders.Inspect(dir)
	if err != nil {
		return fmt.Errorf("look at state folder %s: %w", dir, err)
	}
	if !folder.Exists {
		if err := folders.Guard(dir, stateSecurity(Name)); err != nil {
			return fmt.Errorf("make state folder %s, which an administrator can, as can 'capstan-agent service install': %w", dir, err)
		}
		return nil
	}
	s, err := parseSecurity(folder.Security)
	if err == nil {
		err = s.guarded(ServiceSID(Name))
	}
	if folder.Link {
		err = errors.New("it is a link")
	}
	if err != nil {
		return fmt.Errorf("state folder %s is not for the agent alone: %w: 'capstan-agent service install' sets it right", dir, err)
	}
	return nil
}
