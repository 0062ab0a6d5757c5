package winservice_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/winservice"
)

func TestAccounts(t *testing.T) {
	for account, want := range map[string]string{
		"":                            `NT SERVICE\capstan-agent`,
		`nt service\CAPSTAN-agent`:    `NT SERVICE\capstan-agent`,
		`CORP\capstan$`:               `CORP\capstan$`,
		`.\capstan`:                   `.\capstan`,
		`capstan@corp.example`:        `capstan@corp.example`,
		`NT AUTHORITY\SYSTEM`:         `LocalSystem`,
		`NT SERVICE\W32Time`:          "that of another service",
		`NT AUTHORITY\NetworkService`: "shared by services",
		`capstan`:                     `says not where it is from: write DOMAIN\capstan`,
		`\capstan`:                    "not of the form",
		`CORP\sub\capstan`:            "not of the form",
		"CORP\\cap\nstan":             "a character that no account's name has",
		`CORP\"capstan`:               "a character that no account's name has",
	} {
		t.Run(account, func(t *testing.T) {
			g := NewWithT(t)
			config, err := request(func(r *winservice.Request) { r.Account = account }).Config()
			if err != nil {
				g.Expect(err).To(MatchError(ContainSubstring(want)))
				return
			}
			g.Expect(config.Account).To(Equal(want))
		})
	}
}

func TestAPasswordForAnAccountWithoutOneIsRefused(t *testing.T) {
	for _, account := range []string{"", "LocalSystem", `CORP\capstan$`} {
		g := NewWithT(t)
		_, err := request(func(r *winservice.Request) { r.Account, r.Password = account, winservice.NewSecret("hunter2") }).Config()
		g.Expect(err).To(MatchError(And(ContainSubstring("has no password"), Not(ContainSubstring("hunter2")))))
	}
}

func TestPathsAreFullOnesOnALocalDrive(t *testing.T) {
	for _, path := range []string{"", "capstan-agent.exe", `\capstan-agent.exe`, `C:capstan-agent.exe`, `\\server\share\x.exe`, `C:\a\..\x.exe`, `C:\a:b\x.exe`, `C:\a"b\x.exe`, "C:\\a\nb", `1:\x`, `C:\`} {
		t.Run(path, func(t *testing.T) {
			g := NewWithT(t)
			_, err := request(func(r *winservice.Request) { r.Program = path }).Config()
			g.Expect(err).To(MatchError(ContainSubstring("program")))
			_, err = request(func(r *winservice.Request) { r.StateDir = path }).Config()
			g.Expect(err).To(MatchError(ContainSubstring("state folder")))
		})
	}
}

// The right side is what the rules of CommandLineToArgvW say, worked out by hand.
func TestCommandLinesAreTakenApartAsTheyWerePutTogether(t *testing.T) {
	for want, args := range map[string][]string{
		`"C:\x.exe"`:                    {`C:\x.exe`},
		`"C:\Program Files\x.exe" -a b`: {`C:\Program Files\x.exe`, "-a", "b"},
		`"x" "" a`:                      {"x", "", "a"},
		`"x" "a b"`:                     {"x", "a b"},
		`"x" C:\dir\`:                   {"x", `C:\dir\`},
		`"x" "C:\a b\\"`:                {"x", `C:\a b\`},
		`"x" "say \"hi\""`:              {"x", `say "hi"`},
		`"x" "\\\"" y`:                  {"x", `\"`, "y"},
		`"x" "a	b"`:                     {"x", "a\tb"},
	} {
		NewWithT(t).Expect(winservice.Quote(args...)).To(Equal(want))
	}
}

func TestServiceSIDIsThatOfWindows(t *testing.T) {
	g := NewWithT(t)
	g.Expect(winservice.ServiceSID("TrustedInstaller")).To(Equal("S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"))
	g.Expect(winservice.ServiceSID("trustedinstaller")).To(Equal(winservice.ServiceSID("TRUSTEDINSTALLER")))
}
