package admission

import (
	"crypto/x509"
	"encoding/pem"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// validateGuestSettings refuses a trust bundle that guests could not read, which
// would leave every machine without its trust.
func validateGuestSettings(path *field.Path, settings *capstanv1.GuestSettings) field.ErrorList {
	var errs field.ErrorList
	rest := []byte(settings.TrustBundle)
	for len(strings.TrimSpace(string(rest))) > 0 {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" {
			errs = append(errs, field.Invalid(path.Child("trustBundle"), "(bundle)", "must hold PEM certificates and nothing else"))
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			errs = append(errs, field.Invalid(path.Child("trustBundle"), "(bundle)", "holds a certificate that cannot be read: "+err.Error()))
			break
		}
	}
	for i, key := range settings.SSHAuthorizedKeys {
		if fields := strings.Fields(key); len(fields) < 2 || strings.ContainsAny(key, "\r\n") {
			errs = append(errs, field.Invalid(path.Child("sshAuthorizedKeys").Index(i), "(key)", "must be one line of an authorized_keys file, such as \"ssh-ed25519 AAAA... name\""))
		}
	}
	return errs
}
