package capi

import (
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/cluster-api/bootstrap/kubeadm/reconcilers/kubeadmconfig"
	"sigs.k8s.io/cluster-api/controlplane/kubeadm/pkg/etcd"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Options tune the reconcilers. The zero value is what Cluster API ships with,
// but for the retry interval.
type Options struct {
	// Concurrency is how many objects each reconciler works on at a time.
	Concurrency Concurrency
	// NewQueue makes each reconciler's queue, NewPromptQueue those of connections to
	// workload clusters and of the migration of stored objects, which may keep nobody
	// waiting. Both default to controller-runtime's.
	NewQueue, NewPromptQueue func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request]
	// ConnectionRetryInterval is how soon a connection to a workload cluster is
	// tried again. Defaults to 2 s: upstream's 30 s is most of a cluster's way to
	// Available.
	ConnectionRetryInterval time.Duration
	// RemoteQPS and RemoteBurst limit the requests to one workload cluster.
	// They default to 20 and 30.
	RemoteQPS   float32
	RemoteBurst int
	// RemoteConnectionGracePeriod is how long a workload cluster may be silent
	// before its Cluster says so. Defaults to 50 s.
	RemoteConnectionGracePeriod time.Duration
	// RemoteConditionsGracePeriod is how long a workload cluster may be silent
	// before what was observed in it becomes unknown. Defaults to 5 min.
	RemoteConditionsGracePeriod time.Duration
	// BootstrapTokenTTL is how long a machine may take to join. Defaults to 15 min.
	BootstrapTokenTTL time.Duration
	// EtcdDialTimeout and EtcdCallTimeout bound the calls to workload clusters'
	// etcd members. They default to 10 s and 15 s.
	EtcdDialTimeout time.Duration
	EtcdCallTimeout time.Duration
}

// Concurrency is how many objects each reconciler works on at a time. Zero means
// upstream's default.
type Concurrency struct {
	ClusterCache        int
	Cluster             int
	Machine             int
	MachineSet          int
	MachineDeployment   int
	MachinePool         int
	MachineHealthCheck  int
	ClusterResourceSet  int
	KubeadmConfig       int
	KubeadmControlPlane int
}

// EachWith lets each reconciler work on so many objects at a time. Those that wait
// for workload clusters to answer keep upstream's number.
func EachWith(workers int) Concurrency {
	return Concurrency{
		Cluster: workers, Machine: workers, MachineSet: workers, MachineDeployment: workers, MachinePool: workers,
		MachineHealthCheck: workers, ClusterResourceSet: workers, KubeadmConfig: workers,
	}
}

func (o Options) withDefaults() Options {
	setDefault(&o.ConnectionRetryInterval, 2*time.Second)
	setDefault(&o.RemoteQPS, 20)
	setDefault(&o.RemoteBurst, 30)
	setDefault(&o.RemoteConnectionGracePeriod, 50*time.Second)
	setDefault(&o.RemoteConditionsGracePeriod, 5*time.Minute)
	setDefault(&o.BootstrapTokenTTL, kubeadmconfig.DefaultTokenTTL)
	setDefault(&o.EtcdDialTimeout, 10*time.Second)
	setDefault(&o.EtcdCallTimeout, etcd.DefaultCallTimeout)

	setDefault(&o.Concurrency.ClusterCache, 100)
	setDefault(&o.Concurrency.Cluster, 50)
	setDefault(&o.Concurrency.Machine, 100)
	setDefault(&o.Concurrency.MachineSet, 50)
	setDefault(&o.Concurrency.MachineDeployment, 50)
	setDefault(&o.Concurrency.MachinePool, 50)
	setDefault(&o.Concurrency.MachineHealthCheck, 50)
	setDefault(&o.Concurrency.ClusterResourceSet, 10)
	setDefault(&o.Concurrency.KubeadmConfig, 100)
	setDefault(&o.Concurrency.KubeadmControlPlane, 100)
	return o
}

func setDefault[T comparable](value *T, byDefault T) {
	var zero T
	if *value == zero {
		*value = byDefault
	}
}
