package service

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
)

func TestNoRateOfRequestsHoldsUpManyServices(t *testing.T) {
	for name, config := range map[string]*rest.Config{
		"as it is by default":  {Host: "http://192.0.2.1"},
		"as others limit it":   {Host: "http://192.0.2.1", QPS: 20, Burst: 30},
		"with others' limiter": {Host: "http://192.0.2.1", RateLimiter: flowcontrol.NewTokenBucketRateLimiter(20, 30)},
	} {
		t.Run(name, func(t *testing.T) {
			g, s := NewWithT(t), &session{config: config, lb: shop()}
			kube, err := s.connect()
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(kube.CoreV1().RESTClient().GetRateLimiter()).To(BeNil())
		})
	}
}
