package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed tree.go
var treeRecipe string

// unpackTree unpacks the archive $2 to $1.
const unpackTree = `tar --extract --file "$2" --directory "$1" --numeric-owner --xattrs --xattrs-include='*'`

// finishTree makes of the tree $1 what every guest begins with: nobody's, with the
// units $2 on.
const finishTree = `
umask 022
tree=$1 units=$2
chroot "$tree" systemctl --quiet enable $units
# The load balancer has units of its own for these two; the rest is for machines that live long.
chroot "$tree" systemctl --quiet mask haproxy.service keepalived.service apt-daily.timer apt-daily-upgrade.timer

# Whatever would make two guests the same one, or let somebody in.
: >"$tree/etc/machine-id"
rm -f "$tree/var/lib/dbus/machine-id" "$tree"/etc/ssh/ssh_host_* "$tree/var/lib/systemd/random-seed"
ln -s /etc/machine-id "$tree/var/lib/dbus/machine-id"
chroot "$tree" passwd --quiet --lock root
rm -f "$tree/etc/hostname"
echo localhost >"$tree/etc/hostname"
ln -sf ../run/systemd/resolve/stub-resolv.conf "$tree/etc/resolv.conf"
rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree"/var/log/*.log "$tree"/var/log/apt
install -d "$tree/etc/kubernetes/manifests" "$tree/etc/cni/net.d"
`

// enabled are the units that start with a guest. Those of the load balancer and the
// kubelet have conditions that say in which guests.
var enabled = []string{
	"systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service", "ssh.service",
	"capstan-interface-names.service", "containerd.service", "kubelet.service",
	"capstan-lb.service", "capstan-lb-haproxy.service", "capstan-lb-keepalived.service",
}

// loadBalancerFiles are the files of images/lb and where a guest has them.
var loadBalancerFiles = map[string]string{
	"systemd/capstan-lb.service":            "etc/systemd/system/capstan-lb.service",
	"systemd/capstan-lb-haproxy.service":    "etc/systemd/system/capstan-lb-haproxy.service",
	"systemd/capstan-lb-keepalived.service": "etc/systemd/system/capstan-lb-keepalived.service",
	"tmpfiles.d/capstan-lb.conf":            "etc/tmpfiles.d/capstan-lb.conf",
	// Not in sysctl.d: what is right for a load balancer is wrong for a node.
	"sysctl.d/90-capstan-lb.conf": "usr/share/capstan-lb/90-capstan-lb.conf",
	"README.md":                   "usr/share/doc/capstan-lb/README.md",
}

// tree makes the root file system.
func (b *builder) tree(ctx context.Context) (string, error) {
	programs, err := b.programs(ctx)
	if err != nil {
		return "", err
	}
	if err := b.wanted(ctx, programs); err != nil {
		return "", err
	}
	system, err := b.system(ctx)
	if err != nil {
		return "", err
	}
	store, err := b.store(ctx, programs)
	if err != nil {
		return "", err
	}
	installed := sorted(slices.DeleteFunc(slices.Clone(programs), func(p program) bool { return p.at == "" }))
	built, err := digests(installed)
	if err != nil {
		return "", err
	}
	settings, lb := filepath.Join(b.description.dir, "files"), filepath.Join(b.root, "images", "lb")
	files, err := digestTree(settings, lb)
	if err != nil {
		return "", err
	}
	inputs := key(treeRecipe, overlayRecipe, contractRecipe, contentsRecipe, filepath.Base(system), filepath.Base(store.dir), built, files,
		fmt.Sprint(b.description.Debian), b.description.fstab())
	dir, err := b.cache.step(ctx, "tree", inputs, func(ctx context.Context, dir string) error {
		// Beside the tree, under a name that the next run would clear away.
		added := dir + ".files"
		defer func() { _ = os.RemoveAll(added) }()
		if err := b.lay(added, lb, installed); err != nil {
			return err
		}
		if err := b.writeContents(filepath.Join(added, contentsFile), system, store, programs); err != nil {
			return err
		}
		if _, err := isolated(ctx, nil, unpackTree, dir, filepath.Join(system, packagesFile)); err != nil {
			return err
		}
		if err := overlay(ctx, dir, settings, added); err != nil {
			return err
		}
		if _, err := isolated(ctx, nil, finishTree, dir, strings.Join(enabled, " ")); err != nil {
			return err
		}
		if err := fulfils(dir, b.description.Debian.InitramfsModules); err != nil {
			return err
		}
		return preload(ctx, store.dir, filepath.Join(dir, "var", "lib", "containerd"))
	})
	if err != nil {
		return "", err
	}
	b.cache.name("tree", dir)
	b.cache.name("store", filepath.Join(store.dir, "containerd"))
	b.cache.name("contents.tsv", filepath.Join(dir, contentsFile))
	return dir, nil
}

// lay puts programs and settings into a folder as they lie in a guest.
func (b *builder) lay(dir, lb string, programs []program) error {
	for _, p := range programs {
		if err := place(p.file, filepath.Join(dir, p.at), 0o755); err != nil {
			return fmt.Errorf("add %s: %w", p.name, err)
		}
	}
	for from, to := range loadBalancerFiles {
		if err := place(filepath.Join(lb, from), filepath.Join(dir, to), 0o644); err != nil {
			return fmt.Errorf("add %s: %w", from, err)
		}
	}
	for name, text := range map[string]string{
		"etc/apt/sources.list": b.description.Debian.sources("", ""),
		"etc/fstab":            b.description.fstab(),
	} {
		if err := write(filepath.Join(dir, name), text); err != nil {
			return err
		}
	}
	return nil
}

// preload puts the store in place. Blobs and snapshots are shared with it, for nobody
// changes them; databases are copied.
func preload(ctx context.Context, store, at string) error {
	_, err := isolated(ctx, nil, `
rm -rf "$2"
cp --archive --link "$1/containerd" "$2"
find "$2" -name '*.db' | while IFS= read -r database; do
	cp --archive --remove-destination "$1/containerd/${database#"$2"/}" "$database"
done`, store, at)
	return err
}

func place(from, to string, mode os.FileMode) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, mode)
}

func write(file, text string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// sorted is the programs in the order of their names.
func sorted(programs []program) []program {
	return slices.SortedFunc(slices.Values(programs), func(a, b program) int { return strings.Compare(a.name, b.name) })
}
