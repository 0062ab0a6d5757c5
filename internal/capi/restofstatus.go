package capi

import (
	"bytes"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	v1beta1conditions "sigs.k8s.io/cluster-api/util/conditions/deprecated/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// conditioned is an object of Cluster API's own kinds, which have conditions in
// two places.
type conditioned interface {
	conditions.Setter
	v1beta1conditions.Setter
}

// rest returns the patch of the status that the helper will send after the
// conditions, byte for byte, or nil if it will send none or if that cannot be told.
func (a *attempt) rest(subject conditioned) ([]byte, error) {
	if subject == nil || subject.GetUID() != a.before.GetUID() || !onlyStatusDiffers(a.before, subject) ||
		onlyConditionsDiffer(a.before, subject) || !sameConditions(subject, a.latest) {
		return nil, nil
	}
	before, err := withoutConditions(a.before)
	if err != nil {
		return nil, err
	}
	after, err := withoutConditions(subject)
	if err != nil {
		return nil, err
	}
	data, err := client.MergeFrom(before).Data(after)
	if err != nil {
		return nil, fmt.Errorf("comparing the status of %T %s with what it was: %w", subject, client.ObjectKeyFromObject(subject), err)
	}
	for _, nothing := range []string{`{}`, `{"status":{"v1beta2":{}}}`, `{"status":{"deprecated":{"v1beta1":{}}}}`} {
		if bytes.Equal(data, []byte(nothing)) {
			return nil, nil
		}
	}
	return data, nil
}

// onlyStatusDiffers tells whether metadata and spec, which the helper sends between
// the two parts of a status, are as they were, the resource version included.
func onlyStatusDiffers(before, after conditioned) bool {
	was, is := reflect.ValueOf(before).Elem(), reflect.ValueOf(after).Elem()
	for i := range was.NumField() {
		if was.Type().Field(i).Name != "Status" && !reflect.DeepEqual(was.Field(i).Interface(), is.Field(i).Interface()) {
			return false
		}
	}
	return true
}

// onlyConditionsDiffer spares most rounds the search for the rest.
func onlyConditionsDiffer(before, after conditioned) bool {
	same, ok := after.DeepCopyObject().(conditioned)
	if !ok {
		return false
	}
	same.SetConditions(before.GetConditions())
	same.SetV1Beta1Conditions(before.GetV1Beta1Conditions())
	return reflect.DeepEqual(before, same)
}

// sameConditions tells whether two objects have the same conditions, in whichever
// order. What the helper is about to write has those of the subject only if it is
// the subject that it was given, and if nobody else has changed any.
func sameConditions(a, b conditioned) bool {
	byType := func(obj conditioned) (map[string]metav1.Condition, map[clusterv1.ConditionType]clusterv1.Condition) {
		current, deprecated := map[string]metav1.Condition{}, map[clusterv1.ConditionType]clusterv1.Condition{}
		for _, condition := range obj.GetConditions() {
			current[condition.Type] = condition
		}
		for _, condition := range obj.GetV1Beta1Conditions() {
			deprecated[condition.Type] = condition
		}
		return current, deprecated
	}
	aCurrent, aDeprecated := byType(a)
	bCurrent, bDeprecated := byType(b)
	return equality.Semantic.DeepEqual(aCurrent, bCurrent) && equality.Semantic.DeepEqual(aDeprecated, bDeprecated)
}

// withoutConditions returns an object with nothing but the status of obj, and that
// without conditions, as the helper makes it.
func withoutConditions(obj client.Object) (client.Object, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, fmt.Errorf("reading the status of %T %s: %w", obj, client.ObjectKeyFromObject(obj), err)
	}
	unstructured.RemoveNestedField(content, "status", "conditions")
	unstructured.RemoveNestedField(content, "status", "deprecated", "v1beta1", "conditions")
	status := map[string]any{"status": content["status"]}
	rest, ok := reflect.New(reflect.TypeOf(obj).Elem()).Interface().(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is no object", obj)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(status, rest); err != nil {
		return nil, fmt.Errorf("reading the status of %T %s: %w", obj, client.ObjectKeyFromObject(obj), err)
	}
	return rest, nil
}
