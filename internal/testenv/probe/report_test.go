package probe

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

var zero = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }

func good(kind Kind, began, ended int) answer {
	return answer{kind: kind, began: at(began), ended: at(ended)}
}

func bad(kind Kind, began, ended int) answer {
	return answer{kind: kind, began: at(began), ended: at(ended), err: errors.New("refused")}
}

func TestOutagesAreRunsOfFailures(t *testing.T) {
	const a, b = NewConnection, KeptConnection
	for name, c := range map[string]struct {
		answers []answer
		outages [][2]int
		failed  int
		gap     int
	}{
		"all is well":                            {[]answer{good(a, 0, 5), good(a, 50, 60)}, nil, 0, 55},
		"one fails":                              {[]answer{good(a, 0, 5), bad(a, 50, 51), good(a, 100, 105)}, [][2]int{{50, 105}}, 1, 100},
		"several in a row are one outage":        {[]answer{bad(a, 50, 51), bad(a, 100, 101), good(a, 150, 155)}, [][2]int{{50, 155}}, 2, 0},
		"an answer between makes two of them":    {[]answer{bad(a, 0, 1), good(a, 50, 51), bad(a, 100, 101), good(a, 150, 151)}, [][2]int{{0, 51}, {100, 151}}, 2, 100},
		"a late time-out belongs to its sending": {[]answer{bad(a, 0, 2000), good(a, 50, 55)}, [][2]int{{0, 2000}}, 1, 0},
		"the last one has no end":                {[]answer{good(a, 0, 5), bad(a, 50, 60)}, [][2]int{{50, 60}}, 1, 0},
		"kinds that fail at once fail together":  {[]answer{bad(a, 0, 1), bad(b, 20, 21), good(a, 50, 55), good(b, 70, 71)}, [][2]int{{0, 71}}, 2, 0},
		"kinds that fail one after the other do": {[]answer{bad(a, 0, 1), good(a, 50, 55), bad(b, 100, 101), good(b, 150, 151)}, [][2]int{{0, 55}, {100, 151}}, 2, 0},
		"a kind is measured by itself":           {[]answer{good(a, 0, 1), good(b, 50, 51), good(a, 100, 101)}, nil, 0, 100},
		"answers may come in any order":          {[]answer{good(a, 150, 155), bad(a, 100, 101), bad(a, 50, 51)}, [][2]int{{50, 155}}, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			r := judge(c.answers)
			g.Expect(r.Requests).To(Equal(len(c.answers)))
			g.Expect(r.Failed).To(Equal(c.failed))
			g.Expect(r.LongestGap).To(Equal(time.Duration(c.gap) * time.Millisecond))
			var outages [][2]int
			for _, o := range r.Outages {
				outages = append(outages, [2]int{int(o.Began.Sub(zero).Milliseconds()), int(o.Ended.Sub(zero).Milliseconds())})
			}
			g.Expect(outages).To(Equal(c.outages))
			g.Expect(r.CheckNone() == nil).To(Equal(c.failed == 0))
		})
	}
}

func TestATakeoverExcusesOneOutage(t *testing.T) {
	const a = NewConnection
	for name, c := range map[string]struct {
		answers []answer
		says    string
		length  int
	}{
		"nobody noticed":           {[]answer{good(a, 0, 5), good(a, 1000, 1005)}, "", 0},
		"a short one":              {[]answer{good(a, 0, 5), bad(a, 1000, 1001), bad(a, 1050, 1051), good(a, 1100, 1105)}, "", 105},
		"one that was under way":   {[]answer{bad(a, 990, 1001), good(a, 1050, 1055)}, "", 65},
		"one before the fault":     {[]answer{bad(a, 900, 905), good(a, 950, 955)}, "before anything was broken", 55},
		"one before and one after": {[]answer{bad(a, 900, 905), bad(a, 1000, 1005), good(a, 1050, 1051)}, "before anything was broken", 151},
		"two of them":              {[]answer{bad(a, 1000, 1001), good(a, 1050, 1051), bad(a, 1100, 1101)}, "2 windows", 51},
		"one that takes too long":  {[]answer{bad(a, 1000, 1001), bad(a, 3000, 3001), good(a, 3050, 3051)}, "longer than 2000 ms", 2051},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			excused, err := judge(c.answers).CheckTakeover(at(1000), 2*time.Second)
			g.Expect(excused.Length()).To(Equal(time.Duration(c.length) * time.Millisecond))
			if c.says == "" {
				g.Expect(err).NotTo(HaveOccurred())
				return
			}
			g.Expect(err).To(MatchError(And(ContainSubstring(c.says), ContainSubstring("new connection: refused"))))
		})
	}
}
