package loadbalancer

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func newActive(c *candidate) {
	well(c)
	c.role, c.planned, c.serves = roleActive, true, true
}
func newStandby(c *candidate) { newActive(c); c.role = roleStandby }
func old(c *candidate)        { c.changed = []string{"spec.image"} }
func oldActive(c *candidate)  { newActive(c); old(c) }
func oldStandby(c *candidate) { newStandby(c); old(c) }
func hesitates(c *candidate)  { oldActive(c); c.resigns = true }
func resigned(c *candidate)   { hesitates(c); c.role, c.serves, c.released = roleUnknown, false, true }
func hesitant(c *candidate)   { hesitates(c); c.released = true }
func kept(c *candidate)       { hesitates(c); c.keptUntil = now.Add(time.Minute) }
func oldGoing(c *candidate)   { oldStandby(c); going(c) }
func oldSilent(c *candidate)  { soon(c); old(c); c.role, c.planned = roleUnknown, true }
func oldNever(c *candidate)   { rising(c); old(c); c.giveUpOutdated() }
func drained(c *candidate)    { c.drained = "host-of-" + c.vm.Name }

func stayPut(c *candidate) { drained(c); c.drainHeld = "repair is held" }

func TestHowAChangeOfTheSpecIsRolledOut(t *testing.T) {
	for name, tc := range map[string]struct {
		all         []candidate
		wanted      int
		missing     int
		successorOf string
		rolled      string
		replaced    string
		surplus     int
	}{
		"it begins with one more":                     {all: []candidate{member("a", oldActive), member("b", oldStandby)}, wanted: 2, missing: 1, successorOf: "b"},
		"of one VM, too":                              {all: []candidate{member("a", oldActive)}, wanted: 1, missing: 1, successorOf: "a"},
		"the newcomer boots":                          {all: []candidate{member("a", oldActive), member("b", oldStandby), member("c", rising)}, wanted: 2},
		"the newcomer has no plan yet":                {all: []candidate{member("a", oldActive), member("b", oldStandby), member("c", waiting)}, wanted: 2},
		"the newcomer has an older plan":              {all: []candidate{member("a", oldActive), member("b", oldStandby), member("c", well)}, wanted: 2},
		"the newcomer has its share":                  {all: []candidate{member("a", oldActive), member("b", oldStandby), member("c", newStandby)}, wanted: 2, rolled: "b"},
		"the newcomer has taken the VIP":              {all: []candidate{member("a", oldStandby), member("c", newActive)}, wanted: 1, rolled: "a"},
		"the only one is active":                      {all: []candidate{member("a", oldActive), member("c", newStandby)}, wanted: 1, rolled: "a"},
		"the active one resigns":                      {all: []candidate{member("a", hesitates), member("c", newStandby)}, wanted: 1},
		"the active one has resigned":                 {all: []candidate{member("a", resigned), member("c", newActive)}, wanted: 1, rolled: "a"},
		"who resigned has the VIP back":               {all: []candidate{member("a", kept), member("c", newStandby)}, wanted: 1},
		"nobody has the VIP yet of who just resigned": {all: []candidate{member("a", resigned), member("c", newStandby)}, wanted: 1},
		"it had time to resign, and still has it":     {all: []candidate{member("a", hesitant), member("c", newStandby)}, wanted: 1, rolled: "a"},
		"the successor of who resigned dies":          {all: []candidate{member("a", resigned), member("c", gone)}, wanted: 1, replaced: "c"},
		"who resigned is too many":                    {all: []candidate{member("a", resigned), member("c", newActive), member("d", newStandby)}, wanted: 1, rolled: "a"},
		"one is too many while another resigns":       {all: []candidate{member("a", hesitates), member("c", newStandby), member("d", newStandby)}, wanted: 1},
		"who resigned is all there is":                {all: []candidate{member("a", resigned)}, wanted: 1, missing: 1},
		"the next successor of who resigned boots":    {all: []candidate{member("a", hesitant), member("d", rising)}, wanted: 1},
		"the first one goes":                          {all: []candidate{member("a", oldActive), member("b", oldGoing), member("c", newStandby)}, wanted: 2},
		"the first one is gone":                       {all: []candidate{member("a", oldActive), member("c", newStandby)}, wanted: 2, missing: 1, successorOf: "a"},
		"both newcomers have their share":             {all: []candidate{member("a", oldActive), member("c", newStandby), member("d", newStandby)}, wanted: 2, rolled: "a"},
		"the second newcomer has no plan":             {all: []candidate{member("a", oldActive), member("c", newStandby), member("d", waiting)}, wanted: 2},
		"it is done":                                  {all: []candidate{member("c", newActive), member("d", newStandby)}, wanted: 2},
		"the newcomer never comes up":                 {all: []candidate{member("a", oldActive), member("b", oldStandby), member("c", failed)}, wanted: 2},
		"the newcomer never serves":                   {all: []candidate{member("a", oldActive), member("b", oldStandby), member("c", unfit)}, wanted: 2},
		"the newcomer takes its plan, nothing more":   {all: []candidate{member("a", oldActive), member("b", oldStandby), member("c", well, unfit)}, wanted: 2},
		"the second newcomer never comes up":          {all: []candidate{member("a", oldActive), member("c", newStandby), member("d", failed)}, wanted: 2},
		"an old one dies beside a failed newcomer":    {all: []candidate{member("a", gone, old), member("b", oldStandby), member("c", failed)}, wanted: 2, missing: 1, replaced: "a"},
		"the spec changes after a newcomer failed":    {all: []candidate{member("a", oldActive), member("b", oldStandby), member("c", failed, old)}, wanted: 2, replaced: "c"},
		"the spec changes while a newcomer boots":     {all: []candidate{member("a", oldActive), member("b", oldStandby), member("c", oldNever)}, wanted: 2, replaced: "c"},
		"the spec changes back":                       {all: []candidate{member("a", newActive), member("b", newStandby), member("c", oldStandby)}, wanted: 2, rolled: "c"},
		"the spec of what never came up changes":      {all: []candidate{member("a", oldNever), member("b", oldNever)}, wanted: 2, missing: 1, replaced: "a"},
		"an old one cannot be asked":                  {all: []candidate{member("a", oldActive), member("b", oldSilent)}, wanted: 2},
		"an old one is silent for too long":           {all: []candidate{member("a", oldActive), member("b", silent, old)}, wanted: 2, missing: 1},
		"an old one is silent and a newcomer waits":   {all: []candidate{member("a", oldActive), member("b", silent, old), member("c", waiting)}, wanted: 2, replaced: "b"},
		"an old one's host is lost":                   {all: []candidate{member("a", oldActive), member("b", gone, old)}, wanted: 2, missing: 1, replaced: "b"},
		"an old one is stuck":                         {all: []candidate{member("a", oldActive), member("b", oldGoing, stuck), member("c", newStandby)}, wanted: 2, missing: 1, successorOf: "a"},
		"fewer are wanted before it begins":           {all: []candidate{member("a", oldActive), member("b", oldStandby)}, wanted: 1, surplus: 1},
		"fewer are wanted while the newcomer boots":   {all: []candidate{member("a", oldActive), member("b", oldStandby), member("c", rising)}, wanted: 1, surplus: 1},
		"fewer are wanted with the newcomer there":    {all: []candidate{member("a", oldActive), member("b", oldStandby), member("c", newStandby)}, wanted: 1, surplus: 1},
		"more are wanted":                             {all: []candidate{member("a", oldActive)}, wanted: 2, missing: 1},
		"more are wanted while the newcomer boots":    {all: []candidate{member("a", oldActive), member("b", rising)}, wanted: 3, missing: 1},
		"more are wanted beside a failed newcomer":    {all: []candidate{member("a", oldActive), member("b", failed)}, wanted: 2, missing: 1},
		"none at all is wanted, as there is no VIP":   {all: []candidate{member("a", oldNever)}, wanted: 0, replaced: "a"},
		"the newcomer is gone with its host":          {all: []candidate{member("a", oldActive), member("b", oldStandby), member("c", gone)}, wanted: 2, replaced: "c"},
		"the host of a standby is drained":            {all: []candidate{member("a", newActive), member("b", newStandby, drained)}, wanted: 2, missing: 1, successorOf: "b"},
		"the successor of a drained one is there":     {all: []candidate{member("a", newActive), member("b", newStandby, drained), member("c", newStandby)}, wanted: 2, rolled: "b"},
		"the hosts of both are drained":               {all: []candidate{member("a", newActive, drained), member("b", newStandby, drained)}, wanted: 2, missing: 1, successorOf: "b"},
		"a host is drained no more once one is made":  {all: []candidate{member("a", newActive), member("b", newStandby), member("c", rising)}, wanted: 2, surplus: 1},
		"the host of one that boots is drained":       {all: []candidate{member("a", newActive), member("b", rising, drained, (*candidate).giveUpOutdated)}, wanted: 2, missing: 1, replaced: "b"},
		"a host is drained in an outage":              {all: []candidate{member("a", newActive), member("b", newStandby, stayPut)}, wanted: 2},
		"an outage begins while one is drained":       {all: []candidate{member("a", newActive), member("b", newStandby, stayPut), member("c", newStandby)}, wanted: 2},
		"the spec changes in an outage":               {all: []candidate{member("a", oldActive), member("b", newStandby, stayPut)}, wanted: 2, missing: 1, successorOf: "a"},
		"a drained one dies in an outage":             {all: []candidate{member("a", newActive), member("b", gone, stayPut)}, wanted: 2, missing: 1, replaced: "b"},
		"two newcomers fail, and one of them counts":  {all: []candidate{member("a", oldActive), member("c", failed), member("d", failed)}, wanted: 2, missing: 1, replaced: "d"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			st := decide(tc.all, tc.wanted)
			nameOf := func(c *candidate) string {
				if c == nil {
					return ""
				}
				return c.vm.Name
			}
			is := fmt.Sprint(st.missing, st.successorOf, nameOf(st.rolled), nameOf(st.replaced), st.surplus)
			g.Expect(is).To(Equal(fmt.Sprint(tc.missing, tc.successorOf, tc.rolled, tc.replaced, tc.surplus)), "missing, successor of, rolled, replaced, surplus")
		})
	}
}

func TestOldStandbysAreGivenUpBeforeNewOnes(t *testing.T) {
	g := NewWithT(t)
	all := []candidate{member("a", oldActive), member("b", newStandby), member("c", oldStandby), member("d", newActive)}
	var names []string
	for _, c := range expendable(all) {
		names = append(names, c.vm.Name)
	}
	g.Expect(names).To(Equal([]string{"c", "b", "a", "d"}))
}

func TestTheProgressOfARolloutIsOneLine(t *testing.T) {
	for name, tc := range map[string]struct {
		all     []candidate
		line    string
		stopped bool
		done    bool
	}{
		"there is none": {all: []candidate{member("a", newActive), member("b", newStandby)}, done: true},
		"a host is drained in an outage": {
			all:  []candidate{member("a", newActive), member("b", newStandby, stayPut)},
			line: "1 of 2 virtual machines are as the spec says; repair is held; still to be replaced: b (host host-of-b is being drained)",
		},
		"the newcomer boots": {
			all:  []candidate{member("a", oldActive), member("b", oldStandby), member("c", rising)},
			line: "0 of 2 virtual machines are as the spec says; waiting for c to take its share; still to be replaced: a (spec.image changed), b (spec.image changed)",
		},
		"the old one goes": {
			all:  []candidate{member("a", oldActive), member("b", oldGoing), member("c", newStandby)},
			line: "1 of 2 virtual machines are as the spec says; waiting for b to go; still to be replaced: a (spec.image changed)",
		},
		"the old one hands the VIP over": {
			all:  []candidate{member("a", hesitates), member("c", newStandby), member("d", newStandby)},
			line: "2 of 2 virtual machines are as the spec says; waiting for a to hand the VIP over; still to be replaced: a (spec.image changed)",
		},
		"nobody took the VIP": {
			all:     []candidate{member("a", kept), member("c", newStandby)},
			line:    "a holds the VIP and stays, for no other virtual machine took it when it was handed over, whatever they say; it is tried again at " + now.Add(time.Minute).UTC().Format(time.RFC3339),
			stopped: true,
		},
		"nobody took the VIP, and fewer are wanted": {
			all:     []candidate{member("a", kept, func(c *candidate) { c.changed = nil }), member("c", newStandby)},
			line:    "a holds the VIP and stays, for no other virtual machine took it when it was handed over, whatever they say; it is tried again at " + now.Add(time.Minute).UTC().Format(time.RFC3339),
			stopped: true,
		},
		"an old one does not answer": {
			all:  []candidate{member("a", oldSilent), member("c", newActive)},
			line: "1 of 2 virtual machines are as the spec says; waiting for a to answer or to be replaced; still to be replaced: a (spec.image changed)",
		},
		"the newcomer failed": {
			all:     []candidate{member("a", oldActive), member("b", oldStandby), member("c", failed)},
			line:    "0 of 2 virtual machines are as the spec says: c is not, failed; the others stay as they are until the spec changes or somebody deletes c",
			stopped: true,
		},
		"the newcomer never serves": {
			all:     []candidate{member("a", oldActive), member("b", oldStandby), member("c", well, unfit)},
			line:    "0 of 2 virtual machines are as the spec says: c is not, unfit; the others stay as they are until the spec changes or somebody deletes c",
			stopped: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			line, stopped, done := progress(tc.all, 2)
			g.Expect(line).To(Equal(tc.line))
			g.Expect(stopped).To(Equal(tc.stopped))
			g.Expect(done).To(Equal(tc.done))
		})
	}
}

func TestWhatNeverHadAPlanIsNotKeptForAnOlderSpec(t *testing.T) {
	g := NewWithT(t)
	c := member("a", rising, old)
	c.giveUpOutdated()
	g.Expect(c.isDead()).To(BeTrue())
	g.Expect(c.reason).To(Equal(capstanv1.ReasonNotRolledOut))
	for _, state := range []func(*candidate){oldActive, oldSilent, oldGoing} {
		c := member("a", state)
		c.giveUpOutdated()
		g.Expect(c.isDead()).To(BeFalse())
	}
}
