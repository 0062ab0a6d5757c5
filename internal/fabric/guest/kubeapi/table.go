package kubeapi

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
)

// column is a column of what kubectl get shows. Wide ones are shown with -o wide.
type column struct {
	name string
	wide bool
	cell func(obj Object) any
}

// table renders objects as kubectl get shows them.
func (p presenter) table(objects []Object, meta metav1.ListMeta) *metav1.Table {
	now := p.server.Clock.Now()
	columns := append([]column{{name: "Name", cell: func(o Object) any { return o.GetName() }}}, columnsOf(p.resource, now)...)
	t := &metav1.Table{
		TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "Table"},
		ListMeta: meta, Rows: make([]metav1.TableRow, 0, len(objects)),
	}
	for i, c := range columns {
		def := metav1.TableColumnDefinition{Name: c.name, Type: "string"}
		if i == 0 {
			def.Format = "name"
		}
		if c.wide {
			def.Priority = 1
		}
		t.ColumnDefinitions = append(t.ColumnDefinitions, def)
	}
	for _, obj := range objects {
		row := metav1.TableRow{}
		for _, c := range columns {
			row.Cells = append(row.Cells, c.cell(obj))
		}
		switch p.include {
		case "None":
		case "Object":
			row.Object = runtime.RawExtension{Object: obj}
		default:
			row.Object = runtime.RawExtension{Object: partial(obj)}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func columnsOf(r *Resource, now time.Time) []column {
	age := column{name: "Age", cell: func(o Object) any { return since(now, o.GetCreationTimestamp()) }}
	switch r {
	case Nodes:
		return nodeColumns(age)
	case Pods:
		return podColumns(age)
	case Services:
		return serviceColumns(age)
	case ConfigMaps:
		return []column{{name: "Data", cell: func(o Object) any {
			cm := o.(*corev1.ConfigMap)
			return strconv.Itoa(len(cm.Data) + len(cm.BinaryData))
		}}, age}
	case Secrets:
		return []column{
			{name: "Type", cell: func(o Object) any { return string(o.(*corev1.Secret).Type) }},
			{name: "Data", cell: func(o Object) any { return strconv.Itoa(len(o.(*corev1.Secret).Data)) }}, age,
		}
	case Namespaces:
		return []column{{name: "Status", cell: func(o Object) any { return string(o.(*corev1.Namespace).Status.Phase) }}, age}
	}
	switch r.GroupResource().String() {
	case "deployments.apps":
		return []column{
			{name: "Ready", cell: func(o Object) any {
				d := o.(*appsv1.Deployment)
				want := int32(1)
				if d.Spec.Replicas != nil {
					want = *d.Spec.Replicas
				}
				return fmt.Sprintf("%d/%d", d.Status.ReadyReplicas, want)
			}},
			{name: "Up-to-date", cell: func(o Object) any { return o.(*appsv1.Deployment).Status.UpdatedReplicas }},
			{name: "Available", cell: func(o Object) any { return o.(*appsv1.Deployment).Status.AvailableReplicas }}, age,
		}
	case "events":
		return []column{
			{name: "Last Seen", cell: func(o Object) any { return since(now, o.(*corev1.Event).LastTimestamp) }},
			{name: "Type", cell: func(o Object) any { return o.(*corev1.Event).Type }},
			{name: "Reason", cell: func(o Object) any { return o.(*corev1.Event).Reason }},
			{name: "Message", cell: func(o Object) any { return o.(*corev1.Event).Message }},
		}
	}
	return []column{age}
}

func nodeColumns(age column) []column {
	info := func(name string, f func(corev1.NodeSystemInfo) string) column {
		return column{name: name, wide: true, cell: func(o Object) any { return orNone(f(o.(*corev1.Node).Status.NodeInfo), "<unknown>") }}
	}
	address := func(name string, t corev1.NodeAddressType) column {
		return column{name: name, wide: true, cell: func(o Object) any {
			for _, a := range o.(*corev1.Node).Status.Addresses {
				if a.Type == t {
					return a.Address
				}
			}
			return "<none>"
		}}
	}
	return []column{
		{name: "Status", cell: func(o Object) any { return nodeStatus(o.(*corev1.Node)) }},
		{name: "Roles", cell: func(o Object) any { return nodeRoles(o) }},
		age,
		{name: "Version", cell: func(o Object) any { return o.(*corev1.Node).Status.NodeInfo.KubeletVersion }},
		address("Internal-IP", corev1.NodeInternalIP),
		address("External-IP", corev1.NodeExternalIP),
		info("OS-Image", func(i corev1.NodeSystemInfo) string { return i.OSImage }),
		info("Kernel-Version", func(i corev1.NodeSystemInfo) string { return i.KernelVersion }),
		info("Container-Runtime", func(i corev1.NodeSystemInfo) string { return i.ContainerRuntimeVersion }),
	}
}

func nodeStatus(n *corev1.Node) string {
	status := "Unknown"
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			status = "NotReady"
			if c.Status == corev1.ConditionTrue {
				status = "Ready"
			}
		}
	}
	if n.Spec.Unschedulable {
		status += ",SchedulingDisabled"
	}
	return status
}

func nodeRoles(o Object) string {
	var roles []string
	for l := range o.GetLabels() {
		if role, ok := strings.CutPrefix(l, "node-role.kubernetes.io/"); ok && role != "" {
			roles = append(roles, role)
		}
	}
	sort.Strings(roles)
	return orNone(strings.Join(roles, ","), "<none>")
}

func podColumns(age column) []column {
	return []column{
		{name: "Ready", cell: func(o Object) any {
			pod, ready := o.(*corev1.Pod), 0
			for _, s := range pod.Status.ContainerStatuses {
				if s.Ready {
					ready++
				}
			}
			return fmt.Sprintf("%d/%d", ready, len(pod.Spec.Containers))
		}},
		{name: "Status", cell: func(o Object) any { return orNone(string(o.(*corev1.Pod).Status.Phase), "Pending") }},
		{name: "Restarts", cell: func(Object) any { return "0" }},
		age,
		{name: "IP", wide: true, cell: func(o Object) any { return orNone(o.(*corev1.Pod).Status.PodIP, "<none>") }},
		{name: "Node", wide: true, cell: func(o Object) any { return orNone(o.(*corev1.Pod).Spec.NodeName, "<none>") }},
	}
}

func serviceColumns(age column) []column {
	return []column{
		{name: "Type", cell: func(o Object) any { return string(o.(*corev1.Service).Spec.Type) }},
		{name: "Cluster-IP", cell: func(o Object) any { return orNone(o.(*corev1.Service).Spec.ClusterIP, "<none>") }},
		{name: "External-IP", cell: func(o Object) any {
			svc := o.(*corev1.Service)
			var addresses []string
			for _, in := range svc.Status.LoadBalancer.Ingress {
				addresses = append(addresses, in.IP+in.Hostname)
			}
			if len(addresses) == 0 && svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
				return "<pending>"
			}
			return orNone(strings.Join(addresses, ","), "<none>")
		}},
		{name: "Port(s)", cell: func(o Object) any {
			var ports []string
			for _, p := range o.(*corev1.Service).Spec.Ports {
				port := strconv.Itoa(int(p.Port))
				if p.NodePort != 0 {
					port += ":" + strconv.Itoa(int(p.NodePort))
				}
				ports = append(ports, port+"/"+string(p.Protocol))
			}
			return orNone(strings.Join(ports, ","), "<none>")
		}},
		age,
	}
}

func since(now time.Time, t metav1.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(t.Time))
}

func orNone(s, none string) string {
	if s == "" {
		return none
	}
	return s
}
