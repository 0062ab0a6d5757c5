package addon

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addons"
)

// step is one addon of the spec, or one that has left it.
type step struct {
	name string
	// addon is nil if its manifests cannot be had.
	addon *addons.Addon
	// known is what was told of it last, nil if nothing was.
	known *capstanv1.AddonStatus
	// leaves tells that the spec has it no more.
	leaves bool
	// applied tells that all of it was applied.
	applied bool
	outcome outcome
	// gone tells that nothing is left of it.
	gone bool
}

// outcome is what a round has come to for one addon.
type outcome struct {
	status          metav1.ConditionStatus
	reason, message string
}

func (s *step) waits(reason, format string, args ...any) {
	s.outcome = outcome{metav1.ConditionFalse, reason, fmt.Sprintf(format, args...)}
}

func (s *step) ready() bool { return s.outcome.status == metav1.ConditionTrue }

// wasWell tells whether the very same manifests were applied and found well before.
func (s *step) wasWell() bool {
	return s.addon != nil && s.known != nil && s.known.Revision == s.addon.Revision
}

// plan reads what the spec asks for.
func (r *Reconciler) plan(ctx context.Context, s *scope) error {
	spec := &s.wlc.Spec.Addons
	if spec.CNI.Installs() {
		if err := r.add(ctx, s, &capstanv1.AddonManifests{
			Name: capstanv1.CNIAddon, ConfigMapRefs: spec.CNI.ConfigMapRefs, Namespace: metav1.NamespaceDefault,
		}); err != nil {
			return err
		}
	}
	for i := range spec.Manifests {
		if err := r.add(ctx, s, &spec.Manifests[i]); err != nil {
			return err
		}
	}
	for i := range s.wlc.Status.Addons {
		if known := &s.wlc.Status.Addons[i]; s.step(known.Name) == nil {
			s.steps = append(s.steps, &step{name: known.Name, known: known.DeepCopy(), leaves: true})
		}
	}
	s.claims = claimsOf(s.steps)
	s.planned = true
	return nil
}

func (s *scope) step(name string) *step {
	for _, one := range s.steps {
		if one.name == name {
			return one
		}
	}
	return nil
}

// known returns what was told of an addon last, but not as applied if that was to an
// earlier cluster: it went with that.
func (s *scope) known(status *capstanv1.AddonStatus) *capstanv1.AddonStatus {
	is := status.DeepCopy()
	told := meta.FindStatusCondition(is.Conditions, capstanv1.ReadyCondition)
	if s.cluster == nil || told != nil && told.LastTransitionTime.Before(&s.cluster.CreationTimestamp) {
		is.Revision = ""
	}
	return is
}

// add adds an addon of the spec, or the reason why its manifests cannot be had.
func (r *Reconciler) add(ctx context.Context, s *scope, spec *capstanv1.AddonManifests) error {
	one := &step{name: spec.Name}
	for i := range s.wlc.Status.Addons {
		if s.wlc.Status.Addons[i].Name == spec.Name {
			one.known = s.known(&s.wlc.Status.Addons[i])
		}
	}
	s.steps = append(s.steps, one)
	objects, err := r.manifests(ctx, s.wlc, spec, one)
	if err != nil || objects == nil {
		return err
	}
	one.addon, err = addons.New(spec.Name, spec.Namespace, objects, spec.NextWhen)
	return err
}

// manifests returns the objects of an addon; none if the step tells why there are none.
func (r *Reconciler) manifests(ctx context.Context, wlc *capstanv1.WorkloadCluster, spec *capstanv1.AddonManifests, one *step) ([]*unstructured.Unstructured, error) {
	if len(spec.ConfigMapRefs) == 0 {
		// Admission lets no cluster be without a network for pods.
		return addons.Flannel(wlc.Spec.Addons.CNI.Flannel, wlc.Spec.ClusterNetwork.PodCIDRs[0])
	}
	configMaps := make([]*corev1.ConfigMap, 0, len(spec.ConfigMapRefs))
	for _, ref := range spec.ConfigMapRefs {
		configMap := &corev1.ConfigMap{}
		err := r.Live.Get(ctx, client.ObjectKey{Namespace: wlc.Namespace, Name: ref.Name}, configMap)
		if apierrors.IsNotFound(err) {
			one.waits(capstanv1.ReasonWaitingForConfigMap, "waiting for ConfigMap %s; what was applied stays", ref.Name)
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading ConfigMap %s/%s: %w", wlc.Namespace, ref.Name, err)
		}
		configMaps = append(configMaps, configMap)
	}
	objects, err := addons.Parse(configMaps...)
	if err != nil {
		one.waits(capstanv1.ReasonInvalidManifests, "%s", err)
		return nil, nil
	}
	return objects, nil
}
