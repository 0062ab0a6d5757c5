package main

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

func TestBrokenStreamsAreFailures(t *testing.T) {
	g := NewWithT(t)
	g.Expect(failed(traffic.Report{Asked: 9, Answered: 9})).To(BeZero())
	g.Expect(failed(traffic.Report{Failed: 2, Late: 7}, traffic.Report{Failed: 3, Broken: 4})).To(Equal(int64(9)))
}

func TestALoadThatWasNotCarriedIsNoMeasurement(t *testing.T) {
	for name, tt := range map[string]struct {
		asked, late int64
		want        bool
	}{
		"all was sent":       {1000, 0, true},
		"some was not":       {950, 50, true},
		"too much was not":   {949, 51, false},
		"nothing was":        {0, 1, false},
		"nothing was wanted": {0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := carried(traffic.Report{Asked: tt.asked}, traffic.Report{Late: tt.late})
			NewWithT(t).Expect(err == nil).To(Equal(tt.want), "%v", err)
		})
	}
}
