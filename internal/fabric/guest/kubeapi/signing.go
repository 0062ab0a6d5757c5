package kubeapi

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
)

// requestedBy records who asks for a certificate, which a client may not say of
// itself.
func requestedBy(obj Object, id identity) {
	if csr, ok := obj.(*certificatesv1.CertificateSigningRequest); ok {
		csr.Spec.Username, csr.Spec.Groups = id.user, id.groups
		csr.Status = certificatesv1.CertificateSigningRequestStatus{}
	}
}

// signRequest does what the approving and signing controllers do, at once: a
// joining machine and a node that renews get their kubelet's client certificate,
// everything else stays pending for a person.
func (s *Server) signRequest(obj Object) (Object, error) {
	csr := obj.(*certificatesv1.CertificateSigningRequest)
	if csr.Spec.SignerName != certificatesv1.KubeAPIServerClientKubeletSignerName {
		return obj, nil
	}
	if !slices.Contains(csr.Spec.Groups, groupBootstrapper) && !slices.Contains(csr.Spec.Groups, groupNodes) {
		return obj, nil
	}
	return s.Store.Update(signingRequests, "", csr.Name, Change{Status: true, Apply: func(old Object) (Object, error) {
		next := old.(*certificatesv1.CertificateSigningRequest)
		condition := certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "AutoApproved",
			Message: "Auto approving kubelet client certificate after SubjectAccessReview.", LastUpdateTime: s.timestamp(), LastTransitionTime: s.timestamp(),
		}
		certificate, err := s.certify(next)
		if err != nil {
			condition.Type, condition.Reason, condition.Message = certificatesv1.CertificateFailed, "SignerValidationFailure", err.Error()
		}
		next.Status.Conditions = append(next.Status.Conditions, condition)
		next.Status.Certificate = certificate
		return next, nil
	}})
}

func (s *Server) certify(csr *certificatesv1.CertificateSigningRequest) ([]byte, error) {
	block, _ := pem.Decode(csr.Spec.Request)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, fmt.Errorf("the request is not a PEM block of type CERTIFICATE REQUEST")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse the certificate request: %w", err)
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("the certificate request is not signed by its key: %w", err)
	}
	if !slices.Equal(request.Subject.Organization, []string{groupNodes}) {
		return nil, fmt.Errorf("the organization is %v, must be %s", request.Subject.Organization, groupNodes)
	}
	return s.Sign(request, csr)
}
