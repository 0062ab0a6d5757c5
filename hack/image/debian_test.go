package main

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestPackagesOfAnotherMirrorAreOtherPackages(t *testing.T) {
	g := NewWithT(t)
	d := debian{Suite: "bookworm", Mirror: "http://deb.example/debian", SecurityMirror: "http://deb.example/security"}
	names, options := []string{"systemd"}, []string{"--variant=minbase"}
	usual := packagesKey(d.sources("", ""), names, options)
	g.Expect(packagesKey(d.sources(d.Mirror, d.SecurityMirror), names, options)).To(Equal(usual))
	g.Expect(packagesKey(d.sources("http://snapshot.example/1", ""), names, options)).NotTo(Equal(usual))
	g.Expect(packagesKey(d.sources("", "http://snapshot.example/1"), names, options)).NotTo(Equal(usual))
	d.Suite = "trixie"
	g.Expect(packagesKey(d.sources("", ""), names, options)).NotTo(Equal(usual))
}
