package capi_test

import (
	"context"
	"errors"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	v1beta1conditions "sigs.k8s.io/cluster-api/util/conditions/deprecated/v1beta1"
	"sigs.k8s.io/cluster-api/util/patch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/capstan-k8s/capstan/internal/capi"
)

// rounds is a reconciler's client, and what it does to the API server.
type rounds struct {
	client.Client
	// requests are the writes that reached the API server, status or main.
	requests []string
	// before is called before each of them, and fails it if it returns an error.
	before func(n int) error
}

type roundKey struct{}

func newRounds() *rounds {
	GinkgoHelper()
	r := &rounds{before: func(int) error { return nil }}
	direct, err := client.NewWithWatch(apiServer.Config, client.Options{Scheme: k8s.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	note := func(request string) error {
		r.requests = append(r.requests, request)
		return r.before(len(r.requests))
	}
	counted := interceptor.NewClient(direct, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := note("main"); err != nil {
				return err
			}
			return c.Patch(ctx, obj, p, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, name string, obj client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := note(name); err != nil {
				return err
			}
			return c.SubResource(name).Patch(ctx, obj, p, opts...)
		},
	})
	r.Client = capi.NewJoinedStatus(counted, func(ctx context.Context) types.UID {
		id, _ := ctx.Value(roundKey{}).(types.UID)
		return id
	})
	return r
}

// begin returns the context of a round, and what ends it.
func begin(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithValue(ctx, roundKey{}, uuid.NewUUID()), time.Minute)
}

// expiring is a context that its deadline ends as soon as anything does.
type expiring struct{ context.Context }

// Err implements context.Context.
func (e expiring) Err() error {
	if e.Context.Err() == nil {
		return nil
	}
	return context.DeadlineExceeded
}

// round does what a reconciler does with an object, and returns what came of the
// last patch.
func (r *rounds) round(ctx context.Context, claim *ipamv1.IPAddressClaim, change func(*ipamv1.IPAddressClaim)) error {
	return r.roundWith(ctx, claim, func(_ context.Context, c *ipamv1.IPAddressClaim) { change(c) })
}

// roundWith lets the change read more.
func (r *rounds) roundWith(ctx context.Context, claim *ipamv1.IPAddressClaim, change func(context.Context, *ipamv1.IPAddressClaim)) error {
	GinkgoHelper()
	ctx, end := begin(ctx)
	defer end()
	r.requests = nil
	subject := &ipamv1.IPAddressClaim{}
	Expect(r.Get(ctx, client.ObjectKeyFromObject(claim), subject)).To(Succeed())
	helper, err := patch.NewHelper(subject, r.Client)
	Expect(err).NotTo(HaveOccurred())
	change(ctx, subject)
	return helper.Patch(ctx, subject)
}

func newClaim(ctx context.Context) *ipamv1.IPAddressClaim {
	GinkgoHelper()
	claim := &ipamv1.IPAddressClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: newNamespace(ctx), Name: "a"},
		Spec:       ipamv1.IPAddressClaimSpec{PoolRef: ipamv1.IPPoolReference{APIGroup: "capstan.dev", Kind: "LogicalNetwork", Name: "lan"}},
	}
	Expect(k8s.Create(ctx, claim)).To(Succeed())
	return claim
}

// withCondition sets a condition in both places.
func withCondition(claim *ipamv1.IPAddressClaim, name, reason string) {
	conditions.Set(claim, metav1.Condition{Type: name, Status: metav1.ConditionFalse, Reason: reason})
	v1beta1conditions.MarkFalse(claim, clusterv1.ConditionType(name), reason, clusterv1.ConditionSeverityInfo, "")
}

func changeAll(claim *ipamv1.IPAddressClaim) {
	withCondition(claim, "Ready", "Mine")
	claim.Status.AddressRef.Name = "a"
}

// byAnother writes to a claim as another controller does, once.
func byAnother(ctx context.Context, claim *ipamv1.IPAddressClaim, change func(*ipamv1.IPAddressClaim)) func(int) error {
	return func(n int) error {
		if n > 1 {
			return nil
		}
		theirs := reread(ctx, claim.DeepCopy())
		before := theirs.DeepCopy()
		change(theirs)
		return errors.Join(k8s.Patch(ctx, theirs.DeepCopy(), client.MergeFrom(before)), k8s.Status().Patch(ctx, theirs, client.MergeFrom(before)))
	}
}

const status = "status"

var _ = Describe("The status of an object that a patch.Helper writes", func() {
	var (
		r     *rounds
		claim *ipamv1.IPAddressClaim
	)
	BeforeEach(func(ctx SpecContext) {
		r, claim = newRounds(), newClaim(ctx)
	})
	reason := func(name string) string {
		return conditions.GetReason(claim, name) + v1beta1conditions.GetReason(claim, clusterv1.ConditionType(name))
	}

	DescribeTable("takes so many requests", func(ctx SpecContext, change func(*ipamv1.IPAddressClaim), requests string) {
		Expect(r.round(ctx, claim, change)).To(Succeed())
		Expect(strings.Join(r.requests, " ")).To(Equal(requests))
		want := &ipamv1.IPAddressClaim{}
		change(want)
		reread(ctx, claim)
		Expect(claim.Status.AddressRef).To(Equal(want.Status.AddressRef))
		Expect(claim.Finalizers).To(Equal(want.Finalizers))
		Expect(conditions.GetReason(claim, "Ready")).To(Equal(conditions.GetReason(want, "Ready")))
		Expect(v1beta1conditions.GetReason(claim, "Ready")).To(Equal(v1beta1conditions.GetReason(want, "Ready")))
	},
		Entry("conditions and the rest", changeAll, status),
		Entry("conditions only", func(c *ipamv1.IPAddressClaim) { withCondition(c, "Ready", "Mine") }, status),
		Entry("the rest only", func(c *ipamv1.IPAddressClaim) { c.Status.AddressRef.Name = "a" }, status),
		Entry("metadata too, which has its place between the two", func(c *ipamv1.IPAddressClaim) {
			changeAll(c)
			c.Finalizers = []string{"test/hold"}
		}, "status main status"),
		Entry("nothing", func(*ipamv1.IPAddressClaim) {}, ""),
	)

	It("is joined in the next round too", func(ctx SpecContext) {
		Expect(r.round(ctx, claim, changeAll)).To(Succeed())
		Expect(r.round(ctx, claim, func(c *ipamv1.IPAddressClaim) {
			withCondition(c, "Ready", "Again")
			c.Status.AddressRef.Name = "b"
		})).To(Succeed())
		Expect(r.requests).To(Equal([]string{status}))
		Expect(reread(ctx, claim).Status.AddressRef.Name).To(Equal("b"))
	})

	It("is tried again, joined, when somebody else has written meanwhile", func(ctx SpecContext) {
		r.before = byAnother(ctx, claim, func(c *ipamv1.IPAddressClaim) { c.Labels = map[string]string{"x": "y"} })
		Expect(r.round(ctx, claim, changeAll)).To(Succeed())
		Expect(r.requests).To(Equal([]string{status, status}), "a conflict, and then all of it")
		reread(ctx, claim)
		Expect(claim.Labels).To(HaveKeyWithValue("x", "y"))
		Expect(claim.Status.AddressRef.Name).To(Equal("a"))
		Expect(reason("Ready")).To(Equal("MineMine"))
	})

	It("keeps the condition that somebody else has added meanwhile", func(ctx SpecContext) {
		r.before = byAnother(ctx, claim, func(c *ipamv1.IPAddressClaim) { withCondition(c, "Other", "Theirs") })
		Expect(r.round(ctx, claim, changeAll)).To(Succeed())
		Expect(r.requests).To(Equal([]string{status, status, status}), "a conflict, and then each by itself")
		reread(ctx, claim)
		Expect(claim.Status.AddressRef.Name).To(Equal("a"))
		Expect(reason("Ready")).To(Equal("MineMine"))
		Expect(reason("Other")).To(Equal("TheirsTheirs"))
	})

	It("does not overwrite the same condition of somebody else, and says so", func(ctx SpecContext) {
		r.before = byAnother(ctx, claim, func(c *ipamv1.IPAddressClaim) { withCondition(c, "Ready", "Theirs") })
		Expect(r.round(ctx, claim, changeAll)).To(MatchError(ContainSubstring("was modified by a different process")))
		Expect(r.requests).To(Equal([]string{status, status}), "a conflict, and then the rest by itself")
		reread(ctx, claim)
		Expect(reason("Ready")).To(Equal("TheirsTheirs"))
		Expect(claim.Status.AddressRef.Name).To(Equal("a"))
	})

	It("has its conditions written when the rest is refused, and the error is the rest's", func(ctx SpecContext) {
		err := r.round(ctx, claim, func(c *ipamv1.IPAddressClaim) {
			changeAll(c)
			c.Status.AddressRef.Name = "No Such Name"
		})
		Expect(err).To(MatchError(And(ContainSubstring("failed to patch status: "), ContainSubstring("addressRef.name"))))
		Expect(err).NotTo(MatchError(ContainSubstring("failed to patch status conditions")))
		Expect(reason("Ready")).To(BeEmpty())
		reread(ctx, claim)
		Expect(reason("Ready")).To(Equal("MineMine"))
		Expect(claim.Status.AddressRef.Name).To(BeEmpty())
	})

	It("is not taken as written when the joined request fails", func(ctx SpecContext) {
		r.before = func(n int) error {
			if n == 1 {
				return apierrors.NewInternalError(errors.New("out of order"))
			}
			return nil
		}
		Expect(r.round(ctx, claim, changeAll)).To(MatchError(ContainSubstring("failed to patch status conditions: Internal error occurred: out of order")))
		Expect(r.requests).To(Equal([]string{status, status}), "the second is the rest")
		reread(ctx, claim)
		Expect(reason("Ready")).To(BeEmpty())
		Expect(claim.Status.AddressRef.Name).To(Equal("a"))
	})

	It("says that the object is gone to whoever asked for each part", func(ctx SpecContext) {
		r.before = func(n int) error {
			if n == 1 {
				return k8s.Delete(ctx, claim)
			}
			return nil
		}
		Expect(r.round(ctx, claim, changeAll)).To(MatchError(And(
			ContainSubstring("failed to patch status conditions"), ContainSubstring("failed to patch status: "), ContainSubstring("not found"))))
	})

	It("is not joined if it is of another copy than the round began with", func(ctx SpecContext) {
		Expect(r.round(ctx, claim, changeAll)).To(Succeed())
		Expect(r.roundWith(ctx, claim, func(ctx context.Context, c *ipamv1.IPAddressClaim) {
			Expect(r.Get(ctx, client.ObjectKeyFromObject(c), &ipamv1.IPAddressClaim{})).To(Succeed())
			withCondition(c, "Ready", "Again")
			c.Status.AddressRef.Name = "b"
		})).To(Succeed())
		Expect(r.requests).To(Equal([]string{status, status}))
	})

	It("is not joined outside of rounds", func(ctx SpecContext) {
		subject := &ipamv1.IPAddressClaim{}
		Expect(r.Get(ctx, client.ObjectKeyFromObject(claim), subject)).To(Succeed())
		helper, err := patch.NewHelper(subject, r.Client)
		Expect(err).NotTo(HaveOccurred())
		changeAll(subject)
		Expect(helper.Patch(ctx, subject)).To(Succeed())
		Expect(r.requests).To(Equal([]string{status, status}))
	})

	// neverAsk has a status joined whose second request does not come. It patches a copy,
	// as no reconciler does, which differs in nothing but the rest.
	neverAsk := func(round context.Context) {
		GinkgoHelper()
		subject := &ipamv1.IPAddressClaim{}
		Expect(r.Get(round, client.ObjectKeyFromObject(claim), subject)).To(Succeed())
		other := subject.DeepCopy()
		helper, err := patch.NewHelper(other, r.Client)
		Expect(err).NotTo(HaveOccurred())
		changeAll(subject)
		other.Status.Conditions, other.Status.Deprecated = subject.Status.Conditions, subject.Status.Deprecated
		Expect(helper.Patch(round, other)).To(Succeed())
	}

	It("is never joined again once a helper has not asked for what it was expected to", func(ctx SpecContext) {
		round, end := begin(ctx)
		neverAsk(round)
		end()

		Eventually(func(g Gomega) {
			g.Expect(r.round(ctx, claim, func(c *ipamv1.IPAddressClaim) {
				withCondition(c, "Ready", "Again")
				c.Status.AddressRef.Name = "b"
			})).To(Succeed())
			g.Expect(r.requests).To(Equal([]string{status, status}))
			g.Expect(r.round(ctx, claim, changeAll)).To(Succeed())
			g.Expect(r.requests).To(Equal([]string{status, status}))
		}).Should(Succeed())
	})

	It("is still joined after a round that its deadline cut short", func(ctx SpecContext) {
		round, end := begin(ctx)
		neverAsk(expiring{round})
		end()
		Eventually(func() int { return capi.RoundsOf(r.Client) }).Should(BeZero())
		Expect(r.round(ctx, claim, func(c *ipamv1.IPAddressClaim) {
			withCondition(c, "Ready", "Again")
			c.Status.AddressRef.Name = "b"
		})).To(Succeed())
		Expect(r.requests).To(Equal([]string{status}))
	})

	It("is whole from the first when Cluster API's reconcilers write it", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		watching, err := client.NewWithWatch(apiServer.Config, client.Options{Scheme: k8s.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		events, err := watching.Watch(ctx, &clusterv1.ClusterList{}, client.InNamespace(namespace))
		Expect(err).NotTo(HaveOccurred())
		defer events.Stop()
		newCluster(ctx, namespace)

		var cluster *clusterv1.Cluster
		for cluster == nil || !conditions.Has(cluster, clusterv1.AvailableCondition) {
			event := <-events.ResultChan()
			cluster, _ = event.Object.(*clusterv1.Cluster)
			Expect(cluster).NotTo(BeNil(), "%v", event)
		}
		Expect(cluster.Status.Phase).NotTo(BeEmpty())
		Expect(cluster.Status.ObservedGeneration).NotTo(BeZero())
	}, SpecTimeout(30*time.Second))
})
