package addon_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// faulty is a connection to a workload cluster whose API server fails at one kind.
type faulty struct {
	client.Client
	kind string
}

func (f *faulty) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if obj.GetObjectKind().GroupVersionKind().Kind == f.kind {
		return apierrors.NewInternalError(errors.New("out of order"))
	}
	return f.Client.Get(ctx, key, obj, opts...)
}

// sparing is one that tells of lists of more than a few names.
type sparing struct {
	client.Client
	lists, whole atomic.Int32
}

func (l *sparing) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	var options client.ListOptions
	options.ApplyOptions(opts)
	l.lists.Add(1)
	if _, isMetadata := list.(*metav1.PartialObjectMetadataList); !isMetadata || options.Limit == 0 {
		l.whole.Add(1)
	}
	return l.Client.List(ctx, list, opts...)
}

var _ = Describe("Addons in a cluster with faults", func() {
	It("are brought though the API server fails at another", func(ctx SpecContext) {
		s := newSite(ctx, withManifests("one", "two"))
		s.manifests(ctx, "one", account)
		s.manifests(ctx, "two", settings)
		s.expectAddon(ctx, "two", metav1.ConditionTrue, "Ready", "1 object")
		s.connect(&faulty{Client: s.Client, kind: "ServiceAccount"})
		s.expectAddon(ctx, "one", metav1.ConditionFalse, "InternalError", "reading ServiceAccount kube-system/web: ")
		s.rewrite(ctx, "two", settings+"---\n"+other)
		s.expectAddon(ctx, "two", metav1.ConditionTrue, "Ready", "2 objects")
		s.expectAddon(ctx, "one", metav1.ConditionFalse, "InternalError", "out of order")
		env.ExpectCondition(ctx, s.wlc, capstanv1.AddonsReadyCondition, metav1.ConditionFalse, "InternalError", ContainSubstring("out of order"))
	})

	It("tell nothing that is in a Secret", func(ctx SpecContext) {
		s := newRealSite(ctx, withManifests("secret"))
		for data, reason := range map[string]string{
			"stringData: {pin: 4711}": "InternalError", `data: {pin: "4711!"}`: "InternalError", `stringData: {"a b": "4711"}`: "ManifestsRejected",
		} {
			s.manifests(ctx, "secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"+data+"\n")
			s.expectAddon(ctx, "secret", metav1.ConditionFalse, reason, "applying Secret default/a: the API server says ")
			Expect(fmt.Sprint(s.wlc.Status)).NotTo(ContainSubstring("4711"), data)
		}
	})

	It("look at no more than names of what looks like an inventory, and at no more of it than there is room to tell of", func(ctx SpecContext) {
		s := newSite(ctx)
		for i := range 80 {
			name := fmt.Sprintf("forged-%02d", i)
			Expect(s.Create(ctx, &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "capstan-addon-" + name, Labels: map[string]string{"capstan.dev/addon-inventory": name}},
				Data:       map[string]string{"objects.json": strings.Repeat("nonsense", 100)},
			})).To(Succeed())
		}
		watching := &sparing{Client: s.Client}
		s.connect(watching)
		s.manifests(ctx, "app", settings)
		testenv.Update(ctx, env, s.wlc, withManifests("app"))
		s.expectAddon(ctx, "forged-60", metav1.ConditionFalse, "ManifestsRejected", "reading the inventory")
		Expect(s.wlc.Status.Addons).To(HaveLen(64))
		Expect(watching.lists.Load()).NotTo(BeZero())
		Expect(watching.whole.Load()).To(BeZero())
	})
})
