package terminal

import (
	"context"
	"errors"
	"flag"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

func TestTheEndOfWhatIsTold(t *testing.T) {
	broken, killed := errors.New("the cluster is broken"), errors.New("the manager ended by itself")
	for name, test := range map[string]struct {
		// ended is why the context ends while the story is told, nil if it does not.
		ended  error
		told   error
		expect gomegatypes.GomegaMatcher
	}{
		"happily": {nil, nil, Succeed()},
		"happily, as far as a person wants to hear": {context.Canceled, nil, Succeed()},
		"by a failure":                         {nil, broken, MatchError(broken)},
		"by a person, whatever failed of that": {context.Canceled, broken, MatchError("interrupted")},
		"by what took everything else with it": {killed, broken, MatchError(killed)},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ctx, end := context.WithCancelCause(t.Context())
			defer end(nil)
			where := demoenv.Options{Dir: t.TempDir()}
			err := Tell(ctx, where, func(context.Context, *demoenv.Env) error {
				if test.ended != nil {
					end(test.ended)
				}
				return test.told
			})
			g.Expect(err).To(test.expect)

			again, err := demoenv.New(where)
			g.Expect(err).NotTo(HaveOccurred(), "nothing holds the folder any more")
			g.Expect(again.Stop()).To(Succeed())
		})
	}
}

func TestAPartThatTakesTooLongSaysSo(t *testing.T) {
	g := NewWithT(t)
	err := Within(t.Context(), time.Nanosecond, func(ctx context.Context) error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
	g.Expect(err).To(MatchError("this took longer than 1ns"))
}

func TestFlagsSayWhereThingsAre(t *testing.T) {
	g := NewWithT(t)
	t.Setenv("KUBEBUILDER_ASSETS", "/assets")
	var o demoenv.Options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	AddFlags(flags, &o, ".demo")
	AddBootTime(flags, &o)
	g.Expect(flags.Parse([]string{"-bin", filepath.Join("elsewhere", "bin"), "-boot-time=3s"})).To(Succeed())
	g.Expect(o).To(Equal(demoenv.Options{Dir: ".demo", Source: ".", Binaries: filepath.Join("elsewhere", "bin"), Assets: "/assets", BootTime: 3 * time.Second}))
}
