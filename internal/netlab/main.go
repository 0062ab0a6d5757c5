package netlab

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

// Main is the TestMain of tests that need a laboratory: it enters one, prepares
// there what they need, runs them and exits. Where nobody is root it fails, unless a
// flag tells it to pass.
func Main(tests interface{ Run() int }, prepare ...func() error) {
	skip := flag.Bool("skip-without-root", false, "pass with no test run where nobody is root, instead of failing")
	flag.Parse()
	err := Enter()
	if errors.Is(err, ErrNotRoot) {
		if *skip {
			fmt.Fprintln(os.Stdout, "skipped:", err)
			os.Exit(0)
		}
		err = fmt.Errorf("%w; -skip-without-root passes without having tested anything", err)
	}
	for _, p := range prepare {
		if err == nil {
			err = p()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(tests.Run())
}
