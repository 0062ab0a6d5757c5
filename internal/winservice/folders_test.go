package winservice_test

import (
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/winservice"
)

var service = winservice.ServiceSID(winservice.Name)

func TestProgramsThatOthersCouldReplaceAreNotInstalled(t *testing.T) {
	for name, test := range map[string]struct {
		folder winservice.Folder
		want   string
	}{
		"users may write":        {winservice.Folder{Security: "O:BAD:(A;;FA;;;BA)(A;OICI;0x1301bf;;;BU)"}, "writers: S-1-5-32-545"},
		"everybody may add":      {winservice.Folder{Security: "O:BAD:(A;;DC;;;WD)"}, "writers: S-1-1-0"},
		"somebody may delete":    {winservice.Folder{Security: "O:BAD:(A;;SD;;;S-1-5-21-1-2-3-1001)"}, "writers: S-1-5-21-1-2-3-1001"},
		"somebody owns it":       {winservice.Folder{Security: "O:S-1-5-21-1-2-3-1001D:(A;;FA;;;BA)"}, "writers: S-1-5-21-1-2-3-1001"},
		"nobody is kept out":     {winservice.Folder{Security: "O:BAD:NO_ACCESS_CONTROL"}, "no access control list"},
		"rights without a name":  {winservice.Folder{Security: "O:BAD:(A;;XX;;;BU)"}, "are not known"},
		"an entry of conditions": {winservice.Folder{Security: `O:BAD:(XA;;FX;;;S-1-1-0;(@User.Title=="PM"))`}, "cannot be judged|can be judged"},
		"a link":                 {winservice.Folder{Security: programFiles, Link: true}, "link: true"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			h := newHost()
			test.folder.Exists = true
			h.folders[programDir] = test.folder
			_, err := h.system().PlanInstall(request())
			g.Expect(err).To(MatchError(MatchRegexp(test.want)))
		})
	}
}

func TestStateFolders(t *testing.T) {
	guarded := "O:BAG:SYD:PAI(A;OICI;0x1301bf;;;" + service + ")(A;OICI;FA;;;BA)(A;OICI;0x1f01ff;;;SY)"
	for name, test := range map[string]struct {
		folder  winservice.Folder
		install string
		start   string
	}{
		"as the installer leaves it":            {winservice.Folder{Security: guarded}, "", ""},
		"as an administrator's console made it": {winservice.Folder{Security: programData, Empty: true}, "guard", "S-1-5-32-545 may use it"},
		"others may have put files there":       {winservice.Folder{Security: programData}, "could have put files there", "may use it"},
		"somebody made it before us":            {winservice.Folder{Security: "O:S-1-5-21-1-2-3-1001D:P(A;OICI;FA;;;BA)", Empty: true}, "belongs to S-1-5-21-1-2-3-1001", "belongs to"},
		"it leads elsewhere":                    {winservice.Folder{Security: guarded, Link: true}, "is a link", "is a link"},
		"users may read it":                     {winservice.Folder{Security: "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FR;;;BU)"}, "guard", "may use it"},
		"users may read what is in it":          {winservice.Folder{Security: "O:BAD:P(A;OICI;FA;;;SY)(A;OICIIO;FR;;;BU)"}, "guard", "may use it"},
		"what is above decides":                 {winservice.Folder{Security: "O:BAD:(A;OICI;FA;;;SY)"}, "guard", "inherits"},
		"a list that cannot be judged":          {winservice.Folder{Security: "O:BA"}, "can be judged", "can be judged"},
		"the service is not let in":             {winservice.Folder{Security: "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"}, "guard", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			h := newHost()
			test.folder.Exists = true
			h.folders[stateDir] = test.folder
			if err := winservice.GuardState(h, stateDir); test.start == "" {
				g.Expect(err).NotTo(HaveOccurred())
			} else {
				g.Expect(err).To(MatchError(ContainSubstring(test.start)))
			}
			g.Expect(h.calls).To(BeEmpty(), "an agent that starts changes no folder that is there")

			_, err := install(t.Context(), h, request())
			if test.install == "" || test.install == "guard" {
				g.Expect(err).NotTo(HaveOccurred())
				guards := slices.Contains(h.calls, "guard")
				g.Expect(guards).To(Equal(test.install == "guard"))
				g.Expect(winservice.GuardState(h, stateDir)).To(Succeed())
				return
			}
			g.Expect(err).To(MatchError(ContainSubstring(test.install)))
			g.Expect(h.calls).To(BeEmpty())
		})
	}
}

func TestAnAgentThatIsStartedByHandMakesItsFolderGuarded(t *testing.T) {
	g := NewWithT(t)
	h := newHost()
	g.Expect(winservice.GuardState(h, stateDir)).To(Succeed())
	g.Expect(winservice.GuardState(h, stateDir)).To(Succeed())
	g.Expect(h.calls).To(Equal([]string{"guard"}))
}

func FuzzSecurityDescriptors(f *testing.F) {
	for _, seed := range []string{programFiles, programData, "O:BAD:P(A;;FA;;;BA)", "D:", "O:BAD:((", "O:BAD:(A;;;;;)", "O:BAD:(A;OIC;0x;;;WD)S:(AU;FA;FA;;;WD)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "S:") {
			t.Skip("what follows is a list of what is audited")
		}
		h := newHost()
		h.folders[stateDir] = winservice.Folder{Exists: true, Security: text + "(A;;FA;;;WD)"}
		if winservice.GuardState(h, stateDir) == nil {
			t.Errorf("%q lets everybody in", text)
		}
	})
}
