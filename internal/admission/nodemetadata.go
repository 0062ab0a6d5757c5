package admission

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/translate"
)

const ofOthers = "is reserved for Cluster API and Capstan, which find what is theirs by it: use a domain of your own"

// validateNodeMetadata refuses labels, annotations and taints that could not be
// put on nodes, or that somebody else sets there.
func validateNodeMetadata(spec *field.Path, pool *capstanv1.NodePoolSpec) field.ErrorList {
	errs := metav1validation.ValidateLabels(pool.Labels, spec.Child("labels"))
	errs = append(errs, validateNodeLabels(spec.Child("labels"), pool.Labels)...)
	errs = append(errs, apivalidation.ValidateAnnotations(pool.Annotations, spec.Child("annotations"))...)
	for _, key := range slices.Sorted(maps.Keys(pool.Annotations)) {
		if translate.SetterOf(key) == translate.SetForItself {
			errs = append(errs, field.Invalid(spec.Child("annotations").Key(key), pool.Annotations[key], ofOthers))
		}
	}
	return append(errs, validateTaints(spec.Child("taints"), pool.Taints)...)
}

func validateNodeLabels(path *field.Path, labels map[string]string) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		var why string
		switch translate.SetterOf(key) {
		case translate.SetByKubelet, translate.SetByClusterAPI:
			continue
		case translate.SetAsItIs:
			why = "is set by each kubelet, to what is the case: leave it out"
		case translate.SetForItself:
			why = ofOthers
		case translate.SetByNobody:
			why = "is reserved for Kubernetes itself and kubelets refuse it: use a domain of your own, or node-role.kubernetes.io"
		}
		errs = append(errs, field.Invalid(path.Key(key), labels[key], why))
	}
	return errs
}

// A kubelet registers its node with at most one taint of a key and effect.
func validateTaints(path *field.Path, taints []corev1.Taint) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i := range taints {
		taint := &taints[i]
		errs = append(errs, validateTaint(path.Index(i), taint)...)
		id := taint.Key + ":" + string(taint.Effect)
		if seen[id] {
			errs = append(errs, field.Duplicate(path.Index(i), id))
		}
		seen[id] = true
	}
	return errs
}

func validateTaint(path *field.Path, taint *corev1.Taint) field.ErrorList {
	var errs field.ErrorList
	for _, message := range validation.IsQualifiedName(taint.Key) {
		errs = append(errs, field.Invalid(path.Child("key"), taint.Key, message))
	}
	if domain, _, _ := strings.Cut(taint.Key, "/"); changedByOthers[domain] && taint.Key != corev1.TaintNodeOutOfService {
		errs = append(errs, field.Invalid(path.Child("key"), taint.Key,
			fmt.Sprintf("taints of %s come and go with the state of a node: use a domain of your own", domain)))
	}
	for _, message := range validation.IsValidLabelValue(taint.Value) {
		errs = append(errs, field.Invalid(path.Child("value"), taint.Value, message))
	}
	effects := []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}
	if !slices.Contains(effects, taint.Effect) {
		errs = append(errs, field.NotSupported(path.Child("effect"), taint.Effect, effects))
	}
	return errs
}

// changedByOthers are the domains of taints by which the node's lifecycle, a cloud
// provider and Cluster API tell the state of a node.
var changedByOthers = map[string]bool{
	"node.kubernetes.io": true, "node.cloudprovider.kubernetes.io": true, "node.cluster.x-k8s.io": true,
}
