package wmi_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

func TestOneMomentIsOneTimeInEveryZone(t *testing.T) {
	want := time.Date(2026, 11, 21, 9, 30, 15, 123456000, time.UTC)
	for _, text := range []string{"20261121093015.123456+000", "20261121103015.123456+060", "20261121150015.123456+330", "20261121013015.123456-480"} {
		g := NewWithT(t)
		at, err := wmi.ParseTime(text)
		g.Expect(err).NotTo(HaveOccurred(), text)
		g.Expect(at).To(Equal(want), text)
	}
	for _, text := range []string{"", "20261121", "20261121093015.123456", "20261321093015.123456+000", "20261121093015.123456+0x0", "00000003000000.000000:000"} {
		_, err := wmi.ParseTime(text)
		NewWithT(t).Expect(err).To(HaveOccurred(), text)
	}
}
