package ipam_test

import (
	"context"
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/controllers/ipam"
)

// holding is an API server or a cache of it that has one IPAddress, or answers with
// an error.
type holding struct {
	client.Reader
	address *ipamv1.IPAddress
	err     error
}

func (h holding) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	switch into, ok := obj.(*ipamv1.IPAddress); {
	case h.err != nil:
		return h.err
	case h.address == nil || !ok || client.ObjectKeyFromObject(h.address) != key:
		return apierrors.NewNotFound(ipamv1.GroupVersion.WithResource("ipaddresses").GroupResource(), key.Name)
	default:
		h.address.DeepCopyInto(into)
		return nil
	}
}

func claimOf(uid types.UID) *ipamv1.IPAddressClaim {
	claim := newClaim("team", "vm-0", "lan")
	claim.UID = uid
	claim.Status.AddressRef.Name = claim.Name
	return claim
}

func given(address string, to *ipamv1.IPAddressClaim) *ipamv1.IPAddress {
	return &ipamv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: to.Namespace, Name: to.Name,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(to, ipamv1.GroupVersion.WithKind("IPAddressClaim"))},
		},
		Spec: ipamv1.IPAddressSpec{Address: address},
	}
}

func TestTheAddressOfAClaimIsItsOwn(t *testing.T) {
	claim, earlier, unanswered := claimOf("1"), claimOf("0"), claimOf("1")
	unanswered.Status.AddressRef.Name = ""
	own, foreign := given("10.20.0.10", claim), given("10.20.0.11", earlier)
	broken := errors.New("the API server does not answer")
	for name, test := range map[string]struct {
		claim        *ipamv1.IPAddressClaim
		cached, live holding
		address      string
		err          gomegatypes.GomegaMatcher
	}{
		"as the cache has it":                       {claim: claim, cached: holding{address: own}, live: holding{err: broken}, address: "10.20.0.10"},
		"though the cache does not have it yet":     {claim: claim, live: holding{address: own}, address: "10.20.0.10"},
		"though the cache has an earlier claim's":   {claim: claim, cached: holding{address: foreign}, live: holding{address: own}, address: "10.20.0.10"},
		"and is none while it is an earlier one's":  {claim: claim, cached: holding{address: foreign}, live: holding{address: foreign}},
		"and is none once it is gone":               {claim: claim},
		"and is none before the claim is answered":  {claim: unanswered, cached: holding{address: own}},
		"and unknown if the cache cannot be read":   {claim: claim, cached: holding{err: broken}, err: MatchError(broken)},
		"and unknown if nobody knows what is right": {claim: claim, live: holding{err: broken}, err: MatchError(broken)},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			address, err := ipam.AddressOf(t.Context(), test.cached, test.live, test.claim)
			if test.err != nil {
				g.Expect(err).To(test.err)
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(address.Spec.Address).To(Equal(test.address))
		})
	}
}
