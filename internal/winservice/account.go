package winservice

import (
	"errors"
	"fmt"
	"strings"
)

type accountKind int

const (
	virtualAccount accountKind = iota
	builtInAccount
	managedAccount
	userAccount
)

// kindOf tells the kinds of accounts apart that Windows treats differently.
func kindOf(account string) accountKind {
	lower := strings.ToLower(account)
	switch {
	case strings.HasPrefix(lower, `nt service\`):
		return virtualAccount
	case lower == "localsystem", strings.HasPrefix(lower, `nt authority\`):
		return builtInAccount
	case strings.HasSuffix(lower, "$"):
		return managedAccount
	default:
		return userAccount
	}
}

// account judges the account and returns it as Windows keeps it.
func (w Wanted) account() (string, error) {
	account := w.Account
	if account == "" {
		account = DefaultAccount
	}
	hasPassword := w.Password != Secret{}
	kind := kindOf(account)
	if hasPassword && kind != userAccount {
		return "", fmt.Errorf("account %s has no password that anybody could know: leave --password-stdin out", account)
	}
	switch kind {
	case virtualAccount:
		if !strings.EqualFold(account, DefaultAccount) {
			return "", fmt.Errorf("account %s is that of another service: the agent's own is %s", account, DefaultAccount)
		}
		return DefaultAccount, nil
	case builtInAccount:
		// The others share their rights with every service of the host that runs so.
		if !strings.EqualFold(account, localSystem) && !strings.EqualFold(account, `NT AUTHORITY\SYSTEM`) {
			return "", fmt.Errorf("account %s is shared by services that have nothing to do with each other: use %s", account, DefaultAccount)
		}
		return localSystem, nil
	default:
		domain, name, found := strings.Cut(account, `\`)
		switch {
		case strings.ContainsAny(account, "/[]:;|=,+*?<>\"\x00\r\n"):
			return "", errors.New("the account has a character that no account's name has")
		case found && (domain == "" || name == "" || strings.Contains(name, `\`)):
			return "", fmt.Errorf(`account %q is not of the form DOMAIN\name`, account)
		case !found && !strings.Contains(account, "@"):
			return "", fmt.Errorf(`account %q says not where it is from: write DOMAIN\%[1]s, or .\%[1]s for an account of this host`, account)
		}
		return account, nil
	}
}

// needsPassword tells whether a service cannot be made without one.
func needsPassword(account string) bool { return kindOf(account) == userAccount }

// needsLogonRight tells whether the account must be allowed to log on as a
// service. Virtual and built-in accounts are.
func needsLogonRight(account string) bool {
	kind := kindOf(account)
	return kind == userAccount || kind == managedAccount
}
