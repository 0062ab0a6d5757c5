package winservice_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/winservice"
)

// run carries out a command on a host.
func run(t *testing.T, h *host, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, complaints strings.Builder
	code = winservice.Command{
		System: h.system(), Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &complaints,
		Agent: winservice.Agent{
			Program: programDir + `\capstan-agent.exe`,
			StateDir: func(args []string) (string, error) {
				if slices.Contains(args, "--lisen") {
					return "", errors.New("flag provided but not defined: -lisen")
				}
				return stateDir, nil
			},
			TakeToken: func(dir, file string) (string, error) {
				h.calls = append(h.calls, "token for "+dir)
				return "done", os.Remove(file)
			},
		},
	}.Run(t.Context(), args)
	return code, out.String(), complaints.String()
}

func TestTheLifeOfAServiceByItsCommands(t *testing.T) {
	g := NewWithT(t)
	h := newHost()
	token := filepath.Join(t.TempDir(), "token")
	g.Expect(os.WriteFile(token, nil, 0o600)).To(Succeed())
	for _, step := range []struct {
		args string
		code int
		says string
	}{
		{"status", winservice.NotInstalled, "not installed"},
		{"start", 1, "not installed"},
		{"install --dry-run -- --listen :7443", 0, "would create service capstan-agent"},
		{"status", winservice.NotInstalled, "not installed"},
		{"install --no-start --enrol-token-file " + token + " -- --listen :7443", 0, "hand over the enrolment token"},
		{"status", winservice.NotRunning, `"C:\Program Files\Capstan\capstan-agent.exe" --listen :7443`},
		{"start", 0, "start service"},
		{"start", 0, "nothing to do"},
		{"status", 0, "running"},
		{"install -- --listen :7443", 0, "nothing to do"},
		{"install -- --listen :7444", 0, "command line: "},
		{"stop", 0, "virtual machines keep running"},
		{"stop", 0, "nothing to do"},
		{"uninstall", 0, "delete service"},
		{"uninstall", 0, "nothing to do"},
	} {
		code, stdout, stderr := run(t, h, "", strings.Fields(step.args)...)
		g.Expect(code).To(Equal(step.code), step.args+": "+stderr)
		g.Expect(stdout+stderr).To(ContainSubstring(step.says), step.args)
	}
	g.Expect(h.calls).To(ContainElement("token for " + stateDir))
	g.Expect(token).NotTo(BeAnExistingFile())
}

func TestPasswordsComeByStandardInput(t *testing.T) {
	for name, stdin := range map[string]string{
		"a line": "pä$$ word\n", "a line of Windows": "pä$$ word\r\n", "no end of line": "pä$$ word", "a mark of UTF-8": "\ufeffpä$$ word\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			h := newHost()
			code, stdout, stderr := run(t, h, stdin, "install", "--account", `.\capstan`, "--password-stdin")
			g.Expect(code).To(Equal(0), stderr)
			g.Expect(h.password).To(Equal("pä$$ word"))
			g.Expect(stdout + stderr + h.service.Config.CommandLine).NotTo(ContainSubstring("pä$$"))
		})
	}
	g := NewWithT(t)
	code, _, stderr := run(t, newHost(), "\r\n", "install", "--account", `.\capstan`, "--password-stdin")
	g.Expect(code).To(Equal(1))
	g.Expect(stderr).To(ContainSubstring("standard input is empty"))
}

func TestWrongUseOfTheServiceCommands(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no command":              {nil, 2, "a command is missing"},
		"an unknown command":      {[]string{"remove"}, 2, `unknown command "remove"`},
		"an unknown flag":         {[]string{"install", "--user", "x"}, 2, "flag provided but not defined: -user"},
		"a password as a flag":    {[]string{"install", "--password", "x"}, 2, "flag provided but not defined: -password"},
		"a flag the agent lacks":  {[]string{"install", "--", "--lisen", ":1"}, 2, "flags of the agent: flag provided"},
		"a word too many":         {[]string{"stop", "now"}, 2, `stop takes no "now"`},
		"an account of no domain": {[]string{"install", "--account", "capstan"}, 1, "says not where it is from"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			h := newHost()
			code, _, stderr := run(t, h, "", test.args...)
			g.Expect(code).To(Equal(test.code))
			g.Expect(stderr).To(ContainSubstring(test.want))
			g.Expect(h.calls).To(BeEmpty())
		})
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	g := NewWithT(t)
	_, all, _ := run(t, newHost(), "", "--help")
	for _, command := range []string{"install", "uninstall", "start", "stop", "status"} {
		g.Expect(all).To(ContainSubstring("capstan-agent service " + command))
		code, stdout, stderr := run(t, newHost(), "", command, "--help")
		g.Expect(code).To(Equal(0))
		g.Expect(stderr).To(BeEmpty())
		g.Expect(len(stdout)).To(BeNumerically(">", 80))
	}
}
