package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed store.go
var storeRecipe string

//go:embed containerimage.go
var containerImageRecipe string

// fillStore starts containerd on the folder $1, runs $2 on each further argument, and
// stops containerd in peace, so that its databases are whole.
//
// The images are marked as pinned: the kubelet may not throw away what a node without
// a registry cannot fetch again. Their layers are kept unpacked alone.
const fillStore = `
store=$1 ctr=$2 containerd=$3 mode=$4
shift 4
mkdir "$store/.state"
cat >"$store/.state/config.toml" <<-END
	version = 3
	root = "$store"
	state = "$store/.state/run"
	disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
	[grpc]
	  address = "$store/.state/socket"
	[ttrpc]
	  address = "$store/.state/socket.ttrpc"
END
"$containerd" --config "$store/.state/config.toml" >"$store/.state/log" 2>&1 &
pid=$!
ctr() { "$ctr" --address "$store/.state/socket" --namespace k8s.io "$@"; }
tries=0
until ctr version >/dev/null 2>&1; do
	tries=$((tries + 1))
	if [ $tries -gt 300 ] || ! kill -0 $pid; then
		cat "$store/.state/log" >&2
		exit 1
	fi
	sleep 0.1
done
for image in "$@"; do
	case $mode in
		modules) ctr images import --local --snapshotter overlayfs --discard-unpacked-layers --label io.cri-containerd.pinned=pinned "$image" >&2 ;;
		published)
			ctr images pull --local --platform linux/amd64 --snapshotter overlayfs --label io.cri-containerd.pinned=pinned "$image" >&2
			;;
	esac
done
# What nobody refers to any more, the packed layers that is, goes as a lease is given back.
ctr leases delete --sync "$(ctr leases create)" >&2
ctr images list | awk -v OFS='\t' 'NR > 1 {tag = $1; sub(/^.*:/, "", tag); sub(/:[^:]*$/, "", $1); sub(/^sha256:/, "", $3); print $1, tag, $3}'
kill $pid
wait $pid || true
rm -r "$store/.state"
`

// storeList has name, tag and digest of each image in the store.
const storeList = "images.tsv"

// store is containerd's folder with all images in it.
type store struct {
	dir string
	// libraries are the folders of Debian packages below images, by the images' short names.
	libraries map[string]string
}

// store makes containerd's folder.
func (b *builder) store(ctx context.Context, programs []program) (store, error) {
	d := b.description
	containerd, err := find(programs, "containerd")
	if err != nil {
		return store{}, err
	}
	ctr, err := find(programs, "ctr")
	if err != nil {
		return store{}, err
	}
	inputs := []string{storeRecipe, containerImageRecipe, string(d.Kubernetes.Source), fmt.Sprint(d.ContainerImages)}
	used := []program{containerd, ctr}
	made := store{libraries: map[string]string{}}
	if d.Kubernetes.Source == modules {
		for _, i := range d.ContainerImages {
			for name := range i.Programs {
				p, err := find(programs, name)
				if err != nil {
					return store{}, fmt.Errorf("container image %s: %w", i.Name, err)
				}
				used = append(used, p)
			}
			if len(i.Packages) > 0 {
				if made.libraries[i.shortName()], err = b.libraries(ctx, i); err != nil {
					return store{}, err
				}
				inputs = append(inputs, filepath.Base(made.libraries[i.shortName()]))
			}
		}
	}
	sum, err := digests(sorted(used))
	if err != nil {
		return store{}, err
	}
	made.dir, err = b.cache.step(ctx, "store", key(append(inputs, sum)...), func(ctx context.Context, dir string) error {
		root := filepath.Join(dir, "containerd")
		if err := os.Mkdir(root, 0o711); err != nil {
			return err
		}
		archives := filepath.Join(dir, "archives")
		if err := os.Mkdir(archives, 0o700); err != nil {
			return err
		}
		args := []string{root, ctr.file, containerd.file, string(d.Kubernetes.Source)}
		for n, i := range d.ContainerImages {
			argument := i.Name
			if d.Kubernetes.Source == modules {
				argument = filepath.Join(archives, fmt.Sprintf("%d.tar", n))
				if err := i.make(argument, programs, made.libraries[i.shortName()]); err != nil {
					return fmt.Errorf("container image %s: %w", i.Name, err)
				}
			}
			args = append(args, argument)
		}
		list, err := isolated(ctx, nil, fillStore, args...)
		if err != nil {
			return err
		}
		for _, i := range d.ContainerImages {
			if !strings.Contains(list, strings.Replace(i.Name, ":", "\t", 1)+"\t") {
				return fmt.Errorf("container image %s did not reach the store", i.Name)
			}
		}
		if err := os.RemoveAll(archives); err != nil {
			return err
		}
		return write(filepath.Join(dir, storeList), list)
	})
	return made, err
}

// make writes the archive of an image that is made of programs, and maybe of Debian
// packages below them.
func (i containerImage) make(file string, programs []program, libraries string) error {
	var layers []layer
	if libraries != "" {
		base := filepath.Join(libraries, packagesFile)
		sum, err := digest(base)
		if err != nil {
			return err
		}
		layers = append(layers, layer{file: base, digest: sum})
	}
	own := file + ".layer"
	defer func() { _ = os.Remove(own) }()
	top, err := i.programsLayer(own, programs)
	if err != nil {
		return err
	}
	return i.archive(file, append(layers, top))
}
