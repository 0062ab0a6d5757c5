package winservice_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/winservice"
)

func request(with ...func(*winservice.Request)) winservice.Request {
	r := winservice.Request{Wanted: winservice.Wanted{Program: programDir + `\capstan-agent.exe`, Args: []string{"--listen", ":7443"}, StateDir: stateDir}, Start: true}
	for _, w := range with {
		w(&r)
	}
	return r
}

func install(ctx context.Context, h *host, r winservice.Request) ([]string, error) {
	plan, err := h.system().PlanInstall(r)
	if err != nil {
		return nil, err
	}
	var told []string
	err = winservice.Carry(ctx, plan, func(text string) { told = append(told, text) })
	return told, err
}

func TestInstallingOnABareHost(t *testing.T) {
	g := NewWithT(t)
	h := newHost()
	h.slow = 3
	told, err := install(t.Context(), h, request())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(h.calls).To(Equal([]string{"guard", "register", "create", "start"}))
	g.Expect(told).To(HaveLen(4))

	g.Expect(h.service.State).To(Equal(winservice.Running))
	config := h.service.Config
	g.Expect(config.CommandLine).To(Equal(`"C:\Program Files\Capstan\capstan-agent.exe" --listen :7443`))
	g.Expect(config.Account).To(Equal(`NT SERVICE\capstan-agent`))
	g.Expect(config).To(And(HaveField("AutoStart", true), HaveField("DelayedStart", true), HaveField("ServiceSID", true), HaveField("RestartOnError", true)))
	g.Expect(config.Restarts).To(Equal([]time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute}))
	g.Expect(config.DrainTime).To(BeNumerically(">=", 20*time.Second), "the agent takes up to 15 s to stop")
	g.Expect(h.folders[stateDir].Security).To(ContainSubstring(winservice.ServiceSID("capstan-agent")))
}

func TestInstallingAgainDoesNothing(t *testing.T) {
	g := NewWithT(t)
	h := newHost()
	_, err := install(t.Context(), h, request())
	g.Expect(err).NotTo(HaveOccurred())
	h.calls = nil
	told, err := install(t.Context(), h, request())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(told).To(BeEmpty())
	g.Expect(h.calls).To(BeEmpty())
}

func TestInstallingGoesOnWhereItWasCutOff(t *testing.T) {
	for _, cut := range []string{"guard", "register", "grant", "create", "start"} {
		t.Run(cut, func(t *testing.T) {
			g := NewWithT(t)
			h := newHost()
			h.fails = cut
			user := request(func(r *winservice.Request) { r.Account = `CORP\capstan$` })
			_, err := install(t.Context(), h, user)
			g.Expect(err).To(MatchError(errDenied))
			h.fails = ""
			_, err = install(t.Context(), h, user)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(h.service.State).To(Equal(winservice.Running))
			g.Expect(h.system().PlanInstall(user)).To(BeEmpty())
		})
	}
}

func TestEachDifferenceIsMendedWithTheServiceStopped(t *testing.T) {
	for name, spoil := range map[string]func(*winservice.Config){
		"display name":             func(c *winservice.Config) { c.DisplayName = "x" },
		"description":              func(c *winservice.Config) { c.Description = "x" },
		"command line":             func(c *winservice.Config) { c.CommandLine = `C:\old\capstan-agent.exe` },
		"account":                  func(c *winservice.Config) { c.Account = "LocalSystem" },
		"start":                    func(c *winservice.Config) { c.DelayedStart = false },
		"service SID":              func(c *winservice.Config) { c.ServiceSID = false },
		"restarts":                 func(c *winservice.Config) { c.Restarts = nil },
		"restart on errors":        func(c *winservice.Config) { c.RestartOnError = false },
		"failures forgotten":       func(c *winservice.Config) { c.ForgetFailures = 0 },
		"time to stop at shutdown": func(c *winservice.Config) { c.DrainTime = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			h := newHost()
			_, err := install(t.Context(), h, request())
			g.Expect(err).NotTo(HaveOccurred())
			good := h.service.Config
			spoil(&h.service.Config)
			h.calls = nil
			told, err := install(t.Context(), h, request())
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(h.calls).To(Equal([]string{"stop", "update", "start"}))
			g.Expect(told[1]).To(ContainSubstring(name))
			g.Expect(h.service.Config).To(Equal(good))
		})
	}
}

func TestATokenIsHandedOverWithTheServiceStopped(t *testing.T) {
	g := NewWithT(t)
	h := newHost()
	_, err := install(t.Context(), h, request())
	g.Expect(err).NotTo(HaveOccurred())
	h.calls = nil
	_, err = install(t.Context(), h, request(func(r *winservice.Request) {
		r.TakeToken = func() (string, error) {
			g.Expect(h.service.State).To(Equal(winservice.Stopped))
			return "", h.call("token")
		}
	}))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(h.calls).To(Equal([]string{"stop", "token", "start"}))
}

func TestPasswordsAreAskedForOnlyWhereTheyAreNeeded(t *testing.T) {
	g := NewWithT(t)
	h := newHost()
	user := func(r *winservice.Request) { r.Account = `.\capstan` }
	_, err := install(t.Context(), h, request(user))
	g.Expect(err).To(MatchError(ContainSubstring("needs its password")))
	g.Expect(h.calls).To(BeEmpty())

	_, err = install(t.Context(), h, request(user, func(r *winservice.Request) { r.Password = winservice.NewSecret("hunter2") }))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(h.password).To(Equal("hunter2"))
	g.Expect(h.logOn).To(ConsistOf(`.\capstan`))
	g.Expect(h.system().PlanInstall(request(user))).To(BeEmpty(), "the service has its password")

	told, err := install(t.Context(), h, request(user, func(r *winservice.Request) { r.Password = winservice.NewSecret("hunter3") }))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(h.password).To(Equal("hunter3"))
	g.Expect(fmt.Sprint(told)).NotTo(ContainSubstring("hunter"))
}

func TestSecretsAreNotPrinted(t *testing.T) {
	g := NewWithT(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		g.Expect(fmt.Sprintf(verb, winservice.NewSecret("hunter2"))).To(Equal("***"))
		g.Expect(fmt.Sprintf(verb, request(func(r *winservice.Request) { r.Password = winservice.NewSecret("hunter2") }))).NotTo(ContainSubstring("hunter2"))
	}
}

func TestAServiceThatEndsAtOnceIsToldWithItsCode(t *testing.T) {
	g := NewWithT(t)
	h := newHost()
	h.ends = 1
	_, err := install(t.Context(), h, request())
	g.Expect(err).To(MatchError(And(ContainSubstring("ended at once with code 1"), ContainSubstring("event log"))))
}

func TestAServiceThatHangsIsNotWaitedForEndlessly(t *testing.T) {
	g := NewWithT(t)
	h := newHost()
	h.slow = 1_000_000
	_, err := install(t.Context(), h, request())
	g.Expect(err).To(MatchError(ContainSubstring("it is starting after 1m30s")))
}

func TestUninstallingLeavesTheIdentity(t *testing.T) {
	g := NewWithT(t)
	h := newHost()
	_, err := install(t.Context(), h, request())
	g.Expect(err).NotTo(HaveOccurred())
	h.calls = nil
	plan, err := h.system().PlanUninstall()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(winservice.Carry(t.Context(), plan, func(string) {})).To(Succeed())
	g.Expect(h.calls).To(Equal([]string{"stop", "delete", "unregister"}))
	g.Expect(h.service).To(BeNil())
	g.Expect(h.folders[stateDir].Exists).To(BeTrue())
	g.Expect(h.system().PlanUninstall()).To(BeEmpty())
}

func TestAHostThatDoesNotAnswerIsNoHostWithoutService(t *testing.T) {
	g := NewWithT(t)
	h := newHost()
	h.fails = "query"
	_, err := h.system().PlanInstall(request())
	g.Expect(err).To(MatchError(errDenied))
	_, err = h.system().PlanUninstall()
	g.Expect(err).To(MatchError(errDenied))
}

func TestAServiceThatCannotBeReadCanBeRemovedButNotJudged(t *testing.T) {
	g := NewWithT(t)
	h := newHost()
	_, err := install(t.Context(), h, request())
	g.Expect(err).NotTo(HaveOccurred())
	h.service.Unreadable = errDenied
	_, err = h.system().PlanInstall(request())
	g.Expect(err).To(MatchError(errDenied))
	plan, err := h.system().PlanUninstall()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(winservice.Carry(t.Context(), plan, func(string) {})).To(Succeed())
	g.Expect(h.service).To(BeNil())
}
