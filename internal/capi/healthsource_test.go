package capi

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// slowReader has a control plane once its cache is filled, which it is not at first.
type slowReader struct {
	client.Reader
	controlPlane controlplanev1.KubeadmControlPlane
	asked        int
}

func (r *slowReader) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if r.asked++; r.asked == 1 {
		return errors.New("the cache is not filled")
	}
	list.(*controlplanev1.KubeadmControlPlaneList).Items = []controlplanev1.KubeadmControlPlane{r.controlPlane}
	return nil
}

func TestRoundsGoOnBesideTheEventsOfClustersUntilTheirControllerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		now := clocktesting.NewFakeClock(noon)
		reader := &slowReader{controlPlane: controlPlane(controlplanev1.KubeadmControlPlaneEtcdClusterHealthyCondition, metav1.ConditionUnknown)}
		clusters := &oneEvent{events: make(chan event.GenericEvent)}
		rounds := &healthRounds{ClusterCache: clusters, controlPlanes: reader, clock: now}
		queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[ctrl.Request]())
		defer queue.ShutDown()
		ctx, end := context.WithCancel(t.Context())
		defer end()
		asked := rounds.GetClusterSource("test", func(_ context.Context, cluster client.Object) []ctrl.Request {
			return []ctrl.Request{{NamespacedName: client.ObjectKeyFromObject(cluster)}}
		})
		g.Expect(asked.Start(ctx, queue)).To(Succeed())
		// take hands out all that is queued, when all has been done that the time calls for.
		take := func() []string {
			synctest.Wait()
			var names []string
			for queue.Len() > 0 {
				request, _ := queue.Get()
				queue.Done(request)
				names = append(names, request.Name)
			}
			return names
		}

		clusters.events <- event.GenericEvent{Object: &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}}
		g.Expect(take()).To(Equal([]string{"shop"}), "a cluster's events come as ever")

		var at []int
		pass := func(seconds int) {
			for range seconds {
				now.Step(time.Second)
				for _, name := range take() {
					g.Expect(name).To(Equal("shop-control-plane"))
					at = append(at, int(now.Since(noon).Seconds()))
				}
			}
		}
		pass(20)
		g.Expect(at).To(Equal([]int{4, 8, 16}), "it was seen first after two seconds")

		end()
		synctest.Wait()
		looked := reader.asked
		pass(20)
		g.Expect(reader.asked).To(Equal(looked), "its controller has ended")
		g.Expect(at).To(HaveLen(3))
	})
}
