package addon

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	if len(spec.ConfigMapRefs) == 0 {
		// Admission lets no cluster be without a network for pods.
		objects, err := addons.Flannel(s.wlc.Spec.Addons.CNI.Flannel, s.wlc.Spec.ClusterNetwork.PodCIDRs[0])
		if err != nil {
			return err
		}
		one.addon, err = addons.New(spec.Name, spec.Namespace, objects, spec.NextWhen)
		return err
	}
	if s.site == nil {
		// What is in the ConfigMaps is of no use now.
		return nil
	}
	read, err := r.read(ctx, s, spec, one)
	if err != nil || read == nil {
		return err
	}
	one.addon = read.addon
	return nil
}

// read reads an addon from its ConfigMaps, if that was not done before; nil if the step
// tells why it cannot be.
func (r *Reconciler) read(ctx context.Context, s *scope, spec *capstanv1.AddonManifests, one *step) (*readAddon, error) {
	heads := make([]metav1.Object, 0, len(spec.ConfigMapRefs))
	for _, ref := range spec.ConfigMapRefs {
		head := &metav1.PartialObjectMetadata{}
		head.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
		if there, err := r.get(ctx, s.wlc.Namespace, ref.Name, head, one); !there {
			return nil, err
		}
		heads = append(heads, head)
	}
	if read := r.parsed.get(keyOf(spec, heads)); read != nil {
		if s.bytes += read.bytes; s.bytes > r.MostBytes {
			one.tooLarge(r.MostBytes)
			return nil, nil
		}
		return read, nil
	}
	configMaps := make([]*corev1.ConfigMap, 0, len(spec.ConfigMapRefs))
	read, before := &readAddon{}, s.bytes
	for i, ref := range spec.ConfigMapRefs {
		configMap := &corev1.ConfigMap{}
		if there, err := r.get(ctx, s.wlc.Namespace, ref.Name, configMap, one); !there {
			return nil, err
		}
		if s.bytes += addons.Size(configMap); s.bytes > r.MostBytes {
			one.tooLarge(r.MostBytes)
			return nil, nil
		}
		configMaps, heads[i] = append(configMaps, configMap), configMap
	}
	objects, err := addons.Parse(ctx, configMaps...)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("reading the manifests of addon %s: %w", spec.Name, ctx.Err())
	case err != nil:
		one.waits(capstanv1.ReasonInvalidManifests, "%s", err)
		return nil, nil
	}
	read.key, read.bytes = keyOf(spec, heads), s.bytes-before
	if read.addon, err = addons.New(spec.Name, spec.Namespace, objects, spec.NextWhen); err != nil {
		return nil, err
	}
	r.parsed.put(read)
	return read, nil
}

// get reads a ConfigMap, or what is asked for of it, and tells whether it is there.
func (r *Reconciler) get(ctx context.Context, namespace, name string, into client.Object, one *step) (there bool, err error) {
	err = r.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	switch {
	case apierrors.IsNotFound(err):
		one.waits(capstanv1.ReasonWaitingForConfigMap, "waiting for ConfigMap %s; what was applied stays", name)
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading ConfigMap %s/%s: %w", namespace, name, err)
	}
	return true, nil
}

// tooLarge tells that the addons up to this one are too large together.
func (s *step) tooLarge(most int) {
	s.waits(capstanv1.ReasonInvalidManifests, "with it the addons of the cluster have manifests of more than %d MiB in all", most>>20)
}

// keyOf says all that an addon is made from.
func keyOf(spec *capstanv1.AddonManifests, configMaps []metav1.Object) string {
	var key strings.Builder
	fmt.Fprintf(&key, "%s %s %s", spec.Name, spec.Namespace, spec.NextWhen)
	for _, configMap := range configMaps {
		fmt.Fprintf(&key, " %s/%s", configMap.GetUID(), configMap.GetResourceVersion())
	}
	return key.String()
}
