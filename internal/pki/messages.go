package pki

// EnrolRequest opens an enrolment: the manager shows its CA and proves the
// token.
type EnrolRequest struct {
	TokenID string
	// CACertificate is DER.
	CACertificate []byte
	ManagerProof  []byte
}

// EnrolResponse is the agent's half of the proof. An agent that already belongs
// to this very manager has burnt its token, proves nothing and says so.
type EnrolResponse struct {
	AgentProof      []byte
	AlreadyEnrolled bool
}

// InstallRequest ends an enrolment: the agent's certificate, with a proof that
// it comes from the manager of the EnrolRequest.
type InstallRequest struct {
	TokenID string
	// CACertificate and Certificate are DER.
	CACertificate []byte
	Certificate   []byte
	ManagerProof  []byte
}

// InstallResponse says that the agent has recorded its enrolment on disk.
type InstallResponse struct{}

// RenewRequest brings new dates for the same keys.
type RenewRequest struct {
	// CACertificate and Certificate are DER.
	CACertificate []byte
	Certificate   []byte
}

// RenewResponse says that the agent has recorded its new certificate on disk.
type RenewResponse struct{}
