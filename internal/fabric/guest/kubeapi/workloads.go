package kubeapi

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// settle gives a workload the status that it would come to on nodes that run whatever
// they are told: there are no pods behind it. It is called with the store's lock, when
// the object is as it will be stored.
func (s *Store) settle(obj Object) {
	switch o := obj.(type) {
	case *appsv1.DaemonSet:
		nodes := s.countNodes(o.Spec.Template.Spec.NodeSelector)
		o.Status = appsv1.DaemonSetStatus{
			ObservedGeneration: o.Generation, DesiredNumberScheduled: nodes, CurrentNumberScheduled: nodes,
			UpdatedNumberScheduled: nodes, NumberReady: nodes, NumberAvailable: nodes,
		}
	case *appsv1.Deployment:
		all := replicasOf(o.Spec.Replicas)
		o.Status.ObservedGeneration = o.Generation
		o.Status.Replicas, o.Status.UpdatedReplicas, o.Status.ReadyReplicas, o.Status.AvailableReplicas = all, all, all, all
		if len(o.Status.Conditions) == 0 {
			now := metav1.NewTime(s.clock.Now()).Rfc3339Copy()
			o.Status.Conditions = []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable", LastUpdateTime: now, LastTransitionTime: now},
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable", LastUpdateTime: now, LastTransitionTime: now},
			}
		}
	case *appsv1.StatefulSet:
		all := replicasOf(o.Spec.Replicas)
		o.Status.ObservedGeneration = o.Generation
		o.Status.Replicas, o.Status.UpdatedReplicas, o.Status.ReadyReplicas, o.Status.CurrentReplicas, o.Status.AvailableReplicas = all, all, all, all, all
	case *apiextensionsv1.CustomResourceDefinition:
		if len(o.Status.Conditions) == 0 {
			now := metav1.NewTime(s.clock.Now()).Rfc3339Copy()
			o.Status.AcceptedNames = o.Spec.Names
			for _, t := range []apiextensionsv1.CustomResourceDefinitionConditionType{apiextensionsv1.NamesAccepted, apiextensionsv1.Established} {
				o.Status.Conditions = append(o.Status.Conditions, apiextensionsv1.CustomResourceDefinitionCondition{
					Type: t, Status: apiextensionsv1.ConditionTrue, Reason: string(t), LastTransitionTime: now,
				})
			}
		}
	}
}

func (s *Store) countNodes(selector map[string]string) int32 {
	var count int32
	for _, node := range s.objects[Nodes] {
		matches := true
		for key, value := range selector {
			matches = matches && node.GetLabels()[key] == value
		}
		if matches {
			count++
		}
	}
	return count
}

func replicasOf(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}
