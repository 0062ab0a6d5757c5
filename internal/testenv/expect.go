package testenv

import (
	"context"

	"github.com/onsi/gomega"
	"github.com/onsi/gomega/gstruct"
	gomegatypes "github.com/onsi/gomega/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// ConditionedObject is an object with conditions.
type ConditionedObject interface {
	client.Object
	capstanv1.ConditionsOwner
}

// Create creates an object.
func (e *Env) Create(ctx context.Context, objects ...client.Object) {
	for _, obj := range objects {
		gomega.ExpectWithOffset(1, e.Client.Create(ctx, obj)).To(gomega.Succeed())
	}
}

// Get returns a function, for Eventually, that reads obj anew and returns it.
func Get[T client.Object](ctx context.Context, e *Env, obj T) func() (T, error) {
	return func() (T, error) {
		err := e.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		return obj, err
	}
}

// Await waits until an object is there, and returns it.
func Await[T client.Object](ctx context.Context, e *Env, obj T) T {
	gomega.EventuallyWithOffset(1, Get(ctx, e, obj)).WithContext(ctx).ShouldNot(gomega.BeNil())
	return obj
}

// Update changes an object by a merge patch of what change did to its newest
// version.
func Update[T client.Object](ctx context.Context, e *Env, obj T, change func(T)) {
	gomega.ExpectWithOffset(1, patch(ctx, e, obj, change, func(p client.Patch) error { return e.Client.Patch(ctx, obj, p) })).To(gomega.Succeed())
}

// UpdateStatus changes the status of an object likewise.
func UpdateStatus[T client.Object](ctx context.Context, e *Env, obj T, change func(T)) {
	gomega.ExpectWithOffset(1, patchStatus(ctx, e, obj, change)).To(gomega.Succeed())
}

func patchStatus[T client.Object](ctx context.Context, e *Env, obj T, change func(T)) error {
	return patch(ctx, e, obj, change, func(p client.Patch) error { return e.Client.Status().Patch(ctx, obj, p) })
}

func patch[T client.Object](ctx context.Context, e *Env, obj T, change func(T), send func(client.Patch) error) error {
	if err := e.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
		return err
	}
	before, ok := obj.DeepCopyObject().(T)
	if !ok {
		panic("a deep copy is of its own type")
	}
	change(obj)
	return send(client.MergeFrom(before))
}

// ExpectCondition waits until a condition is as wanted, for the present generation
// of the object, which is left as it was then.
func (e *Env) ExpectCondition(ctx context.Context, obj ConditionedObject, conditionType string,
	status metav1.ConditionStatus, reason string, message gomegatypes.GomegaMatcher,
) {
	gomega.EventuallyWithOffset(1, func(g gomega.Gomega) {
		g.Expect(e.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(gomega.Succeed())
		g.Expect(meta.FindStatusCondition(obj.GetConditions(), conditionType)).To(gstruct.PointTo(gstruct.MatchFields(gstruct.IgnoreExtras, gstruct.Fields{
			"Status": gomega.Equal(status), "Reason": gomega.Equal(reason), "Message": message,
			"ObservedGeneration": gomega.Equal(obj.GetGeneration()),
		})))
	}).WithContext(ctx).Should(gomega.Succeed())
}

// ExpectReady waits until an object is Ready.
func (e *Env) ExpectReady(ctx context.Context, obj ConditionedObject) {
	gomega.EventuallyWithOffset(1, func(g gomega.Gomega) {
		g.Expect(e.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(gomega.Succeed())
		c := meta.FindStatusCondition(obj.GetConditions(), capstanv1.ReadyCondition)
		g.Expect(c).NotTo(gomega.BeNil())
		g.Expect(c.Status).To(gomega.Equal(metav1.ConditionTrue), "%s: %s", c.Reason, c.Message)
		g.Expect(c.ObservedGeneration).To(gomega.Equal(obj.GetGeneration()))
	}).WithContext(ctx).Should(gomega.Succeed())
}

// ExpectGone waits until an object is gone.
func (e *Env) ExpectGone(ctx context.Context, obj client.Object) {
	gomega.EventuallyWithOffset(1, func() bool {
		return apierrors.IsNotFound(e.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj))
	}).WithContext(ctx).Should(gomega.BeTrue(), "%T %s is still there", obj, obj.GetName())
}
