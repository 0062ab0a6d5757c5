package fabric

import (
	"fmt"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

func checkTemplate(template fabricapi.SecureBootTemplate) error {
	switch template {
	case "", fabricapi.SecureBootWindows, fabricapi.SecureBootUEFI:
		return nil
	}
	return fabricapi.Refuse(fabricapi.InvalidParameter, string(template), "there is no secure boot template %s", template)
}

// CheckSecureBoot is the firmware's decision whether to start what is on the boot
// disk. A disk that was not made from an image has no boot loader to judge.
func CheckSecureBoot(template fabricapi.SecureBootTemplate, os string) error {
	signer := map[string]fabricapi.SecureBootTemplate{"Linux": fabricapi.SecureBootUEFI, "Windows": fabricapi.SecureBootWindows}[os]
	if template == "" {
		template = fabricapi.SecureBootWindows
	}
	if signer == "" || signer == template {
		return nil
	}
	return fmt.Errorf("the boot loader of %s is not signed for the secure boot template %s of this VM, but for %s", os, template, signer)
}
