package machinectr_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
)

func TestControlGroupsAreEnteredAsTheirVersionWantsIt(t *testing.T) {
	for name, c := range map[string]struct {
		mounts   string
		launcher []string
		nspawn   string
	}{
		"v2": {
			"24 23 0:21 / /proc rw - proc proc rw\n" +
				"28 23 0:25 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
			[]string{"/sys/fs/cgroup/capstan-machinectr/hv1/a/launcher"}, "/sys/fs/cgroup/capstan-machinectr/hv1/a/guest",
		},
		"v1 beside an empty v2": {
			"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n" +
				"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n" +
				"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
				"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
			[]string{
				"/sys/fs/cgroup/cpu,cpuacct/capstan-machinectr/hv1/a", "/sys/fs/cgroup/memory/capstan-machinectr/hv1/a",
				"/sys/fs/cgroup/unified/capstan-machinectr/hv1/a",
			}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			launcher, nspawn, err := machinectr.Groups("hv1", c.mounts, "a")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(launcher).To(Equal(c.launcher))
			g.Expect(nspawn).To(Equal(c.nspawn))
		})
	}
	t.Run("none", func(t *testing.T) {
		g := NewWithT(t)
		_, _, err := machinectr.Groups("hv1", "24 23 0:21 / /proc rw - proc proc rw\n", "a")
		g.Expect(err).To(MatchError(ContainSubstring("none are mounted")))
	})
}
