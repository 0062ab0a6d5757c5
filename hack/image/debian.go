package main

import (
	"context"
	_ "embed"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed debian.go
var debianRecipe string

// Files of a step that installs Debian packages.
const (
	// packagesFile is an archive of the file system.
	packagesFile = "root.tar"
	// packageList has name, version and SHA-256 of each package that is in it.
	packageList = "packages.tsv"
)

// listArchives reads the packages themselves, as long as they lie about.
const listArchives = `for deb in "$1"/var/cache/apt/archives/*.deb; do
	dpkg-deb --show --showformat '${Package}\t${Version}\t' "$deb"
	sha256sum <"$deb" | cut -d" " -f1
done >"$CAPSTAN_PACKAGE_LIST"`

// listPackages asks apt, while its lists are still there, for the checksums of what
// it installed.
const listPackages = `dpkg-query --admindir="$1/var/lib/dpkg" --show --showformat '${Package}=${Version}\n' |
	APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" xargs apt-cache show |
	awk -v OFS='\t' '/^Package: /{p=$2} /^Version: /{v=$2} /^SHA256: /{s=$2} /^$/{if (p) print p, v, s; p=""} END{if (p) print p, v, s}' |
	sort -u >"$CAPSTAN_PACKAGE_LIST"`

// system installs what a guest has of Debian.
func (b *builder) system(ctx context.Context) (string, error) {
	d := b.description.Debian
	early := "mkdir -p \"$1/etc/initramfs-tools\" && printf '%s\\n' " + strings.Join(d.InitramfsModules, " ") + ` >>"$1/etc/initramfs-tools/modules"`
	return b.packages(ctx, "debian", d.Packages, "--variant=minbase", "--customize-hook="+listPackages,
		// An initramfs is made as its package is installed, and takes a while: only once.
		"--essential-hook="+early,
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*",
	)
}

// libraries unpacks packages for a container image: there is nothing to configure in it.
func (b *builder) libraries(ctx context.Context, i containerImage) (string, error) {
	// Images of the same packages share one layer.
	names := slices.Sorted(slices.Values(i.Packages))
	return b.packages(ctx, "libraries-"+key(names...), names, "--variant=extract", "--extract-hook="+listArchives,
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-include=/usr/share/doc/*/copyright",
	)
}

// packages makes an archive of a file system with these packages and all that they need.
func (b *builder) packages(ctx context.Context, step string, names []string, options ...string) (string, error) {
	d := b.description.Debian
	sources := d.sources(b.mirror, b.securityMirror)
	return b.cache.step(ctx, step, packagesKey(sources, names, options), func(ctx context.Context, dir string) error {
		args := append([]string{"mmdebstrap", "--mode=root", "--architectures=amd64", "--include=" + strings.Join(names, ",")}, options...)
		args = append(args, d.Suite, filepath.Join(dir, packagesFile), "-")
		_, err := command{
			// What it unpacks goes with the step's folder, also when it is killed.
			env:   []string{"TMPDIR=" + dir, "SOURCE_DATE_EPOCH=0", "CAPSTAN_PACKAGE_LIST=" + filepath.Join(dir, packageList)},
			stdin: strings.NewReader(sources),
			args:  append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"}, args...),
		}.run(ctx)
		return err
	})
}

// packagesKey also has where packages come from: a mirror may have those of another day.
func packagesKey(sources string, names, options []string) string {
	return key(debianRecipe, sources, strings.Join(names, ","), strings.Join(options, " "))
}

// sources is a sources.list. Mirrors may be left empty.
func (d debian) sources(mirror, security string) string {
	if mirror == "" {
		mirror = d.Mirror
	}
	if security == "" {
		security = d.SecurityMirror
	}
	return fmt.Sprintf("deb %[1]s %[3]s main\ndeb %[1]s %[3]s-updates main\ndeb %[2]s %[3]s-security main\n", mirror, security, d.Suite)
}
