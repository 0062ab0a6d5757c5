package main

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestCountersAddUpOverLabelsOfNoInterest(t *testing.T) {
	g := NewWithT(t)
	before, err := parseCounters(`# HELP apiserver_request_total x
apiserver_request_total{code="200",group="",resource="secrets",subresource="",verb="GET",dry_run=""} 5
`)
	g.Expect(err).NotTo(HaveOccurred())
	after, err := parseCounters(`apiserver_request_total{code="200",group="",resource="secrets",subresource="",verb="GET",dry_run=""} 7
apiserver_request_total{code="200",group="",resource="secrets",subresource="",verb="GET",dry_run="All"} 2
apiserver_request_total{code="201",group="a,b\"c",resource="things",subresource="status",verb="POST"} 9
apiserver_other_total{code="200"} 1
process_cpu_seconds_total 12.5
`)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(after.since(before)).To(Equal([]increase{
		{`apiserver_request_total POST a,b\"c things status 201`, 9},
		{"apiserver_request_total GET secrets 200", 4},
	}))
}
