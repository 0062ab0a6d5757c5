package main

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

const (
	ourID   = "id-1"
	goneID  = "id-2"
	boot    = `C:\ClusterStorage\csv1\capstan\vms\id-1\boot.vhdx`
	seedISO = `C:\ClusterStorage\csv1\capstan\vms\id-1\seed.iso`
	image   = `C:\ClusterStorage\csv1\capstan\images\abc.vhdx.partial`
)

func ourRules(wanted, clusterWanted bool) rules {
	return rules{ours: "us", known: map[string]subject{
		ourID:  {namespace: "red", name: "c1-a", cluster: "red/c1", role: "ControlPlane", wanted: wanted, clusterWanted: clusterWanted},
		goneID: {namespace: "red", name: "c1-b", cluster: "red/c1", role: "Worker"},
	}}
}

func stampOf(installation, id string) *fabricapi.Stamp {
	return &fabricapi.Stamp{Installation: installation, ID: id}
}

func TestWhatAHostWasToldToTakeAwayIsJudged(t *testing.T) {
	ours := stampOf("us", ourID)
	electorate := func(voting, running int) *fabricapi.Electorate {
		return &fabricapi.Electorate{Cluster: "c", Voting: voting, Running: running}
	}
	for name, c := range map[string]struct {
		rules rules
		deed  fabricapi.Deed
		says  string
	}{
		"a VM whose object is deleted":         {ourRules(false, true), fabricapi.Deed{Op: "DestroyVM", Stamp: ours}, ""},
		"a VM that is wanted":                  {ourRules(true, true), fabricapi.Deed{Op: "DestroyVM", Stamp: ours}, "though nobody has deleted VirtualMachine red/c1-a"},
		"the disk of a VM that is wanted":      {ourRules(true, true), fabricapi.Deed{Op: "DeleteFile", Object: boot, Stamp: ours}, "though nobody has deleted"},
		"the claim of a VM that is wanted":     {ourRules(true, true), fabricapi.Deed{Op: "ReleaseRole", Object: ourID, Stamp: ours}, "though nobody has deleted"},
		"the seed of a VM that is wanted":      {ourRules(true, true), fabricapi.Deed{Op: "DeleteFile", Object: seedISO, Stamp: ours}, ""},
		"an orphan":                            {ourRules(true, true), fabricapi.Deed{Op: "DestroyVM", Stamp: stampOf("us", "never seen")}, ""},
		"the power of a VM that is wanted":     {ourRules(true, true), fabricapi.Deed{Op: "TurnOffVM", Stamp: ours}, ""},
		"a VM of nobody":                       {ourRules(true, true), fabricapi.Deed{Op: "DestroyVM", Name: "theirs"}, "bears nobody's stamp"},
		"the power of a VM of nobody":          {ourRules(true, true), fabricapi.Deed{Op: "TurnOffVM", Name: "theirs"}, "bears nobody's stamp"},
		"a file of nobody":                     {ourRules(true, true), fabricapi.Deed{Op: "DeleteFile", Object: `C:\theirs.vhdx`}, "bears nobody's stamp"},
		"an image that was begun":              {ourRules(true, true), fabricapi.Deed{Op: "DeleteFile", Object: image}, ""},
		"a VM of another installation":         {ourRules(false, true), fabricapi.Deed{Op: "DestroyVM", Stamp: stampOf("them", ourID)}, "another installation's stamp"},
		"one vote of three":                    {ourRules(false, true), fabricapi.Deed{Op: "TurnOffVM", Stamp: ours, Electorate: electorate(3, 3)}, ""},
		"the second of three votes":            {ourRules(false, true), fabricapi.Deed{Op: "TurnOffVM", Stamp: ours, Electorate: electorate(3, 2)}, "cost the cluster its quorum"},
		"a vote where there is no quorum":      {ourRules(false, true), fabricapi.Deed{Op: "TurnOffVM", Stamp: ours, Electorate: electorate(3, 1)}, ""},
		"the only vote":                        {ourRules(false, true), fabricapi.Deed{Op: "TurnOffVM", Stamp: ours, Electorate: electorate(1, 1)}, "with 1 of 1 members"},
		"the only vote of a deleted cluster":   {ourRules(false, false), fabricapi.Deed{Op: "TurnOffVM", Stamp: ours, Electorate: electorate(1, 1)}, ""},
		"one vote of two, whose other is down": {ourRules(false, true), fabricapi.Deed{Op: "DestroyVM", Stamp: ours, Electorate: electorate(2, 2)}, "cost the cluster its quorum"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			found := c.rules.judge(c.deed)
			if c.says == "" {
				g.Expect(found).To(BeEmpty())
				return
			}
			g.Expect(found).To(HaveLen(1))
			g.Expect(found[0].class).To(Equal(lost))
			g.Expect(found[0].what).To(ContainSubstring(c.says))
		})
	}
}

func worldOf(s fabricapi.Site) fabricapi.World {
	s.Name = "fc1"
	return fabricapi.World{Sites: []fabricapi.Site{s}}
}

func TestWhatIsSomebodyElsesMustStay(t *testing.T) {
	g := NewWithT(t)
	others := newBystanders()
	others.add("fc1", "g1", nil)
	others.add("fc1", "g2", stampOf("them", "their-id"))
	both := worldOf(fabricapi.Site{VMs: []fabricapi.VM{{GUID: "g1"}, {GUID: "g2"}}})
	g.Expect(look(both, others.all())).To(BeEmpty())
	g.Expect(look(worldOf(fabricapi.Site{VMs: []fabricapi.VM{{GUID: "g1"}}}), others.all())).To(ConsistOf(
		finding{lost, "g2 in fc1, which is somebody else's, is gone"}))
	g.Expect(look(both, others.all())).To(BeEmpty(), "looking forgets nothing")
}

func TestWhoCameWhileTheHostsWereLookedAtIsNotMissed(t *testing.T) {
	g := NewWithT(t)
	others := newBystanders()
	before := others.all()
	looked := worldOf(fabricapi.Site{})
	others.add("fc1", "g1", nil)
	g.Expect(look(looked, before)).To(BeEmpty())
	g.Expect(look(looked, others.all())).To(HaveLen(1), "the next time it must be there")
}

func TestDoublesAreSeen(t *testing.T) {
	g := NewWithT(t)
	found := look(worldOf(fabricapi.Site{VMs: []fabricapi.VM{
		{GUID: "g1", Name: "a", Stamp: stampOf("us", ourID)}, {GUID: "g2", Name: "a", Stamp: stampOf("us", ourID)},
	}}), nil)
	g.Expect(found).To(ConsistOf(finding{duplicate, "identity id-1 is held by VM a (g1) and VM a (g2)"}))
}

func TestWhatNoVirtualMachineOwnsIsStray(t *testing.T) {
	g := NewWithT(t)
	r := ourRules(true, true)
	g.Expect(r.stray(worldOf(fabricapi.Site{
		VMs:   []fabricapi.VM{{GUID: "g1", Name: "a", Stamp: stampOf("us", ourID)}, {GUID: "g2", Name: "b", Stamp: stampOf("us", goneID)}, {GUID: "g3", Stamp: stampOf("them", "x")}, {GUID: "g4"}},
		Files: []fabricapi.File{{FileRef: fabricapi.FileRef{Volume: "v", Path: "boot.vhdx"}, Kind: fabricapi.VHDX, Stamp: stampOf("us", "never")}},
		Roles: []fabricapi.Role{{Name: goneID, Stamp: stampOf("us", goneID)}},
	}))).To(ConsistOf(
		finding{orphan, "VM b (g2) in fc1 of a VM that is not there any more"},
		finding{orphan, "VHDX v: boot.vhdx in fc1 of a VM that is not there any more"},
		finding{orphan, "claim id-2 in fc1 of a VM that is not there any more"},
	))
}

func TestAnIdentityThatNobodyGaveIsAnOrphan(t *testing.T) {
	g := NewWithT(t)
	others := newBystanders()
	others.add("fc1", "g2", stampOf("them", "their-id"))
	g.Expect(ourRules(true, true).neverKnown(map[string]string{ourID: "VM a", goneID: "VM b", "their-id": "VM c", "nobody's": "VM d"}, others)).To(ConsistOf(
		finding{orphan, "VM d was on the hosts, but no VirtualMachine ever had its identity nobody's"}))
}

func TestAFindingIsToldOnceAndCounted(t *testing.T) {
	g := NewWithT(t)
	var told []string
	f := &findings{known: map[finding]bool{}, say: func(line string) { told = append(told, line) }, last: func() string { return "a storm" }}
	f.add(finding{lost, "a disk"}, finding{orphan, "a VM"})
	f.add(finding{lost, "a disk"})
	g.Expect(told).To(HaveLen(2))
	g.Expect(told[0]).To(And(HavePrefix("FINDING lost: a disk"), ContainSubstring("last was a storm")))
	g.Expect(f.lines()).To(Equal([]string{"lost: a disk", "orphan: a VM"}))
	g.Expect([]int{f.count(lost), f.count(orphan), f.count(duplicate)}).To(Equal([]int{1, 1, 0}))
}
