package loadbalancer

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/lbplan"
)

func leavingMachine(uid types.UID) clusterv1.Machine {
	now := metav1.NewTime(time.Unix(0, 0))
	return clusterv1.Machine{ObjectMeta: metav1.ObjectMeta{Name: string(uid), UID: uid, DeletionTimestamp: &now}}
}

func TestAMachineLeavesOnceNobodyIsSentThere(t *testing.T) {
	spare := []lbplan.Machine{{Name: "other", Address: "192.0.2.1", State: lbplan.Ready}}
	cluster, deleted := &clusterv1.Cluster{}, &clusterv1.Cluster{}
	now := metav1.NewTime(time.Unix(0, 0))
	deleted.DeletionTimestamp = &now
	current, behind := &instance{current: true}, &instance{}
	unread := errors.New("listing VirtualMachines: time-out")
	off, dead := &instance{reason: "PoweredOff"}, &instance{verdict: verdict{reason: "Silent"}}
	for name, c := range map[string]struct {
		cluster   *clusterv1.Cluster
		members   []lbplan.Machine
		instances []*instance
		age       time.Duration
		want      time.Duration
		err       error
	}{
		"it has just been deleted":               {cluster, spare, []*instance{current}, 0, drainTime, nil},
		"its connections have some time left":    {cluster, spare, []*instance{current}, drainTime - time.Millisecond, time.Millisecond, nil},
		"all VMs carry the plan without it":      {cluster, spare, []*instance{current, current}, drainTime, 0, nil},
		"one does not carry it yet":              {cluster, spare, []*instance{current, behind}, drainTime, departurePoll, nil},
		"one never will, and time is up":         {cluster, spare, []*instance{current, behind}, longestDeparture, 0, nil},
		"one is off":                             {cluster, spare, []*instance{current, off}, drainTime, 0, nil},
		"one is given up":                        {cluster, spare, []*instance{current, dead}, drainTime, 0, nil},
		"nobody can stand in for it":             {cluster, nil, []*instance{behind}, 0, 0, nil},
		"the whole cluster goes":                 {deleted, spare, []*instance{behind}, 0, 0, nil},
		"the Cluster is not there":               {nil, spare, []*instance{current}, 0, drainTime, nil},
		"there is no VM that could send anybody": {cluster, spare, nil, drainTime, 0, nil},
		"the VMs are not known":                  {cluster, spare, nil, drainTime, departurePoll, unread},
		"they never are, and time is up":         {cluster, spare, nil, longestDeparture, 0, unread},
		"one is behind after a failure":          {cluster, spare, []*instance{behind}, drainTime, departurePoll, unread},
		"all are current though something fails": {cluster, spare, []*instance{current}, drainTime, 0, unread},
	} {
		t.Run(name, func(t *testing.T) {
			machine, began := leavingMachine("1"), time.Unix(1000, 0)
			s := &scope{
				cluster: c.cluster, members: c.members, instances: c.instances, now: began.Add(c.age), err: c.err,
				leaving: map[types.UID]time.Time{"1": began},
			}
			NewWithT(t).Expect(s.departsIn(&machine)).To(Equal(c.want))
		})
	}
}

func TestDeparturesAreKnownSinceTheyWereFirstSeen(t *testing.T) {
	g := NewWithT(t)
	d := &departures{}
	lb, other := client.ObjectKey{Name: "shop"}, client.ObjectKey{Name: "lab"}
	stays := clusterv1.Machine{ObjectMeta: metav1.ObjectMeta{UID: "3"}}
	first, then := time.Unix(1000, 0), time.Unix(1001, 0)
	d.note(lb, []clusterv1.Machine{leavingMachine("1"), stays}, first)
	d.note(other, nil, first)
	g.Expect(d.note(lb, []clusterv1.Machine{leavingMachine("1"), leavingMachine("2")}, then)).To(Equal(map[types.UID]time.Time{"1": first, "2": then}))
	d.note(lb, nil, then)
	g.Expect(d.since).To(BeEmpty(), "what is gone takes no room")
}
