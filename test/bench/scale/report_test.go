package main

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestPercentilesAreTimesThatWereMeasured(t *testing.T) {
	for _, tc := range []struct {
		count, percent int
		want           time.Duration
	}{{1, 50, 1}, {1, 100, 1}, {2, 50, 1}, {10, 90, 9}, {10, 100, 10}, {3, 50, 2}} {
		var sorted []time.Duration
		for i := range tc.count {
			sorted = append(sorted, time.Duration(i+1))
		}
		NewWithT(t).Expect(percentile(sorted, tc.percent)).To(Equal(tc.want), "%d%% of %d", tc.percent, tc.count)
	}
}
