package scm

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/capstan-k8s/capstan/internal/winservice"
)

// Accounts are those that this host knows.
type Accounts struct{}

var _ winservice.Accounts = Accounts{}

const (
	logOnAsService = "SeServiceLogonRight"

	policyCreateAccount = 0x10
	policyLookupNames   = 0x800
)

var (
	advapi32               = windows.NewLazySystemDLL("advapi32.dll")
	lsaOpenPolicy          = advapi32.NewProc("LsaOpenPolicy")
	lsaClose               = advapi32.NewProc("LsaClose")
	lsaFreeMemory          = advapi32.NewProc("LsaFreeMemory")
	lsaEnumerateAccount    = advapi32.NewProc("LsaEnumerateAccountRights")
	lsaAddAccountRights    = advapi32.NewProc("LsaAddAccountRights")
	lsaObjectAttributeSize = uint32(unsafe.Sizeof(windows.OBJECT_ATTRIBUTES{}))
)

// MayLogOnAsService implements winservice.Accounts.
func (Accounts) MayLogOnAsService(account string) (may bool, err error) {
	err = withPolicy(account, func(policy windows.Handle, sid *windows.SID) error {
		var rights *windows.NTUnicodeString
		var count uint32
		status, _, _ := lsaEnumerateAccount.Call(uintptr(policy), uintptr(unsafe.Pointer(sid)), uintptr(unsafe.Pointer(&rights)), uintptr(unsafe.Pointer(&count)))
		// An account that was never given a right is one that is not found.
		if windows.NTStatus(status) == windows.STATUS_OBJECT_NAME_NOT_FOUND {
			return nil
		}
		if err := statusError(status); err != nil {
			return fmt.Errorf("list rights: %w", err)
		}
		for _, right := range unsafe.Slice(rights, count) {
			may = may || right.String() == logOnAsService
		}
		free, _, _ := lsaFreeMemory.Call(uintptr(unsafe.Pointer(rights)))
		return statusError(free)
	})
	return may, err
}

// GrantLogOnAsService implements winservice.Accounts.
func (Accounts) GrantLogOnAsService(account string) error {
	return withPolicy(account, func(policy windows.Handle, sid *windows.SID) error {
		right, err := windows.NewNTUnicodeString(logOnAsService)
		if err != nil {
			return err
		}
		status, _, _ := lsaAddAccountRights.Call(uintptr(policy), uintptr(unsafe.Pointer(sid)), uintptr(unsafe.Pointer(right)), 1)
		return statusError(status)
	})
}

func withPolicy(account string, do func(windows.Handle, *windows.SID) error) (err error) {
	sid, _, _, err := windows.LookupSID("", localName(account))
	if err != nil {
		return fmt.Errorf("look up account: %w", err)
	}
	attributes := windows.OBJECT_ATTRIBUTES{Length: lsaObjectAttributeSize}
	var policy windows.Handle
	status, _, _ := lsaOpenPolicy.Call(0, uintptr(unsafe.Pointer(&attributes)), policyCreateAccount|policyLookupNames, uintptr(unsafe.Pointer(&policy)))
	if err := statusError(status); err != nil {
		return fmt.Errorf("open local security policy: %w", err)
	}
	defer func() {
		status, _, _ := lsaClose.Call(uintptr(policy))
		err = errors.Join(err, statusError(status))
	}()
	return do(policy, sid)
}

// localName puts the host's own name in the place of a dot, which only services
// understand.
func localName(account string) string {
	if len(account) < 2 || account[:2] != `.\` {
		return account
	}
	host, err := windows.ComputerName()
	if err != nil {
		return account[2:]
	}
	return host + `\` + account[2:]
}

func statusError(status uintptr) error {
	if status == 0 {
		return nil
	}
	return windows.NTStatus(status)
}
