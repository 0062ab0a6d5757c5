package hostapi

import "errors"

// Why a host that is HostUnreachable could not be asked. The client puts them
// into the chain of its errors (use errors.Is); an error of that class with
// neither means that the host or its agent does not answer.
var (
	// ErrCertificateMismatch means that an agent answers, and that one side does
	// not accept the other's certificate or key.
	ErrCertificateMismatch = errors.New("the certificates of manager and agent do not match")
	// ErrCertificateDates means that an agent answers, that its key is the right
	// one, and that a certificate is outside its dates. Renewal is the way out.
	ErrCertificateDates = errors.New("a certificate is outside its dates")
	// ErrNoCommonProtocol means that an agent answers that is too old or too new.
	ErrNoCommonProtocol = errors.New("manager and agent speak no common protocol version")
	// ErrNotEnrolled means that an agent answers, and that it has not been
	// enrolled yet.
	ErrNotEnrolled = errors.New("the agent is not enrolled")
)
