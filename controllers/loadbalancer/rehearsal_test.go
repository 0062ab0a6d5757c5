package loadbalancer

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestWhoIsGivenAPlanWithoutVIPs(t *testing.T) {
	for name, tc := range map[string]struct {
		all  []candidate
		want bool
	}{
		"those in its way are all silent":      {all: []candidate{member("c", waiting), member("a", silent), member("b", silent)}, want: true},
		"it has rehearsed, and they are there": {all: []candidate{member("c", rehearsed), member("a", silent)}, want: true},
		"they are silent, and not for long":    {all: []candidate{member("c", waiting), member("a", soon)}},
		"they are gone for certain":            {all: []candidate{member("c", waiting), member("a", gone)}},
		"they go":                              {all: []candidate{member("c", rehearsed), member("a", silent, going, func(c *candidate) { c.verdict = verdict{} })}},
		"another one serves":                   {all: []candidate{member("c", waiting), member("a", silent), member("b", newActive)}},
		"it has had VIPs":                      {all: []candidate{member("c", well), member("a", silent)}},
		"it does not answer":                   {all: []candidate{member("c", rising), member("a", silent)}},
		"it hands the VIP over":                {all: []candidate{member("c", hesitates), member("a", silent)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scope{candidates: tc.all}
			NewWithT(t).Expect(s.rehearses(tc.all[0].vm)).To(Equal(tc.want))
		})
	}
}
