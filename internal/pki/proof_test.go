package pki

import (
	"testing"

	. "github.com/onsi/gomega"
)

// The tests of whole enrolments meet several protections at once; here each
// part of a proof has to make the difference alone.
func TestEveryPartOfAProofCounts(t *testing.T) {
	g := NewWithT(t)
	v, err := NewToken().verifier()
	g.Expect(err).NotTo(HaveOccurred())
	base := func() exchange {
		return exchange{binding: []byte("binding"), tokenID: "token", agent: Pin{1}, ca: []byte("ca")}
	}
	proof, err := base().prove(v, managerAsks, []byte("step"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(base().check(v, managerAsks, proof, []byte("step"))).To(Succeed())

	other, err := NewToken().verifier()
	g.Expect(err).NotTo(HaveOccurred())
	tests := []struct {
		name     string
		verifier verifier
		as       role
		change   func(*exchange)
		step     [][]byte
	}{
		{name: "token", verifier: other},
		{name: "role of the agent", as: agentAnswers},
		{name: "role of the second step", as: managerCertifies},
		{name: "channel", change: func(e *exchange) { e.binding = []byte("Binding") }},
		{name: "token ID", change: func(e *exchange) { e.tokenID = "Token" }},
		{name: "agent", change: func(e *exchange) { e.agent[0] = 2 }},
		{name: "CA", change: func(e *exchange) { e.ca = []byte("CA") }},
		{name: "step", step: [][]byte{[]byte("Step")}},
		{name: "no step", step: [][]byte{}},
		{name: "one step cut in two", step: [][]byte{[]byte("st"), []byte("ep")}},
		{name: "where one field ends", change: func(e *exchange) { e.ca = []byte("cas") }, step: [][]byte{[]byte("tep")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e, with, as, step := base(), v, managerAsks, [][]byte{[]byte("step")}
			if test.change != nil {
				test.change(&e)
			}
			if test.verifier.Key != nil {
				with = test.verifier
			}
			if test.as != "" {
				as = test.as
			}
			if test.step != nil {
				step = test.step
			}
			NewWithT(t).Expect(e.check(with, as, proof, step...)).To(MatchError(ErrProof))
		})
	}
}
