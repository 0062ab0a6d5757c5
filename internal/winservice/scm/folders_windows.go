package scm

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/windows"

	"github.com/capstan-k8s/capstan/internal/winservice"
)

// Folders are those of this host.
type Folders struct{}

var _ winservice.Folders = Folders{}

const readSecurity = windows.OWNER_SECURITY_INFORMATION | windows.DACL_SECURITY_INFORMATION

// Inspect implements winservice.Folders.
func (Folders) Inspect(path string) (winservice.Folder, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return winservice.Folder{}, err
	}
	attributes, err := windows.GetFileAttributes(name)
	if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) || errors.Is(err, windows.ERROR_PATH_NOT_FOUND) {
		return winservice.Folder{}, nil
	}
	if err != nil {
		return winservice.Folder{}, err
	}
	if attributes&windows.FILE_ATTRIBUTE_DIRECTORY == 0 {
		return winservice.Folder{}, errors.New("it is no folder")
	}
	folder := winservice.Folder{Exists: true, Link: attributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0}
	descriptor, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, readSecurity)
	if err != nil {
		return folder, fmt.Errorf("read security descriptor: %w", err)
	}
	folder.Security = descriptor.String()
	if folder.Link {
		return folder, nil
	}
	folder.Empty, err = empty(path)
	return folder, err
}

func empty(path string) (_ bool, err error) {
	dir, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	_, err = dir.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

// Guard implements winservice.Folders. A folder that has to be made is never
// without its guard.
func (Folders) Guard(path, security string) error {
	descriptor, err := windows.SecurityDescriptorFromString(security)
	if err != nil {
		return fmt.Errorf("read security descriptor: %w", err)
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	attributes := &windows.SecurityAttributes{SecurityDescriptor: descriptor}
	attributes.Length = securityAttributesSize
	err = windows.CreateDirectory(name, attributes)
	if err == nil || !errors.Is(err, windows.ERROR_ALREADY_EXISTS) {
		return err
	}
	owner, _, err := descriptor.Owner()
	if err != nil {
		return fmt.Errorf("read owner: %w", err)
	}
	list, _, err := descriptor.DACL()
	if err != nil {
		return fmt.Errorf("read access control list: %w", err)
	}
	return windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, readSecurity|windows.PROTECTED_DACL_SECURITY_INFORMATION, owner, nil, list, nil)
}
