package testenv

import (
	"context"
	"errors"
	"fmt"

	"github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// CheckHealthAgrees tells whether everybody who judges the health of an object
// comes to the same answer: kstatus, by which Flux and others judge; kubectl wait
// --for=condition=Ready; and the object's own word, Ready and up to date.
func CheckHealthAgrees(obj *unstructured.Unstructured) error {
	result, err := status.Compute(obj)
	if err != nil {
		return fmt.Errorf("computing the kstatus of %s: %w", describe(obj), err)
	}
	ready, waited := readyAndObserved(obj), kubectlWouldReturn(obj)
	if judged := result.Status == status.CurrentStatus; judged == ready && waited == ready {
		return nil
	}
	return fmt.Errorf("%s: kstatus says %s (%s), kubectl wait returns: %t, Ready and up to date: %t; generation %d, deleted %t, status %v",
		describe(obj), result.Status, result.Message, waited, ready, obj.GetGeneration(), obj.GetDeletionTimestamp() != nil, obj.Object["status"])
}

func describe(obj *unstructured.Unstructured) string {
	return fmt.Sprintf("%s %s/%s at %s", obj.GetKind(), obj.GetNamespace(), obj.GetName(), obj.GetResourceVersion())
}

func readyAndObserved(obj *unstructured.Unstructured) bool {
	observed, found, err := unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	if err != nil || !found || observed != obj.GetGeneration() {
		return false
	}
	condition := readyCondition(obj)
	return condition != nil && condition["status"] == "True"
}

// kubectlWouldReturn judges as kubectl does: a condition of an older generation
// does not count.
//
// Source: k8s.io/kubectl/pkg/cmd/wait, ConditionalWait.checkCondition.
func kubectlWouldReturn(obj *unstructured.Unstructured) bool {
	condition := readyCondition(obj)
	if condition == nil || condition["status"] != "True" {
		return false
	}
	observed, found, err := unstructured.NestedInt64(condition, "observedGeneration")
	if err != nil || !found {
		observed, found, err = unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	}
	return err != nil || !found || observed >= obj.GetGeneration()
}

func readyCondition(obj *unstructured.Unstructured) map[string]any {
	conditions, _, err := unstructured.NestedSlice(obj.Object, "status", "conditions")
	if err != nil {
		return nil
	}
	for _, c := range conditions {
		if condition, ok := c.(map[string]any); ok && condition["type"] == "Ready" {
			return condition
		}
	}
	return nil
}

// HealthWatch checks every version of the objects of some kinds that the API
// server tells of.
type HealthWatch struct {
	stop  []watch.Interface
	ended []chan seen
}

type seen struct {
	verdicts map[string]map[status.Status]bool
	err      error
}

// WatchHealth begins to check the objects of kinds in a namespace.
func (e *Env) WatchHealth(ctx context.Context, namespace string, kinds ...schema.GroupVersionKind) *HealthWatch {
	c, err := client.NewWithWatch(e.Config, client.Options{Scheme: e.Scheme})
	gomega.ExpectWithOffset(1, err).NotTo(gomega.HaveOccurred())
	h := &HealthWatch{}
	for _, kind := range kinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		w, err := c.Watch(ctx, list, client.InNamespace(namespace))
		gomega.ExpectWithOffset(1, err).NotTo(gomega.HaveOccurred())
		ended := make(chan seen, 1)
		h.stop, h.ended = append(h.stop, w), append(h.ended, ended)
		go func() { ended <- checkAll(w) }()
	}
	return h
}

// checkAll judges until the watch ends. What a deletion leaves in the last event
// is the past, and nobody waits for it.
func checkAll(w watch.Interface) seen {
	s := seen{verdicts: map[string]map[status.Status]bool{}}
	for event := range w.ResultChan() {
		obj, ok := event.Object.(*unstructured.Unstructured)
		if !ok || event.Type == watch.Deleted {
			continue
		}
		s.err = errors.Join(s.err, CheckHealthAgrees(obj))
		key := obj.GetKind() + "/" + obj.GetName()
		if result, err := status.Compute(obj); err == nil {
			if s.verdicts[key] == nil {
				s.verdicts[key] = map[status.Status]bool{}
			}
			s.verdicts[key][result.Status] = true
		}
	}
	return s
}

// Stop ends the watch. It returns every disagreement there was, and which verdicts
// were seen of each object by kind/name, so that a caller can tell that something
// was looked at.
func (h *HealthWatch) Stop() (verdicts map[string]map[status.Status]bool, err error) {
	verdicts = map[string]map[status.Status]bool{}
	for i, w := range h.stop {
		w.Stop()
		s := <-h.ended[i]
		err = errors.Join(err, s.err)
		for name, v := range s.verdicts {
			verdicts[name] = v
		}
	}
	return verdicts, err
}
