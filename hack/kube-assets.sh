#!/usr/bin/env bash
# Prints a folder that holds etcd, kube-apiserver, kube-controller-manager and kubectl, after providing
# them if need be. The folder is what envtest and the demo take as KUBEBUILDER_ASSETS.
#
#   export KUBEBUILDER_ASSETS=$(hack/kube-assets.sh)
#   hack/kube-assets.sh kubelet kubeadm
#
# With names, the folder holds those Kubernetes programs instead, always built: node images take them.
#
# In this order: KUBEBUILDER_ASSETS, if it is set and complete; the folder kept from an earlier run;
# released binaries by setup-envtest, where the internet answers at once; a build from the modules that
# hack/kube and hack/etcd pin. The release has no kube-controller-manager, and without its garbage
# collector a deleted cluster's children stay: whatever the release lacks is built.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
programs=(etcd kube-apiserver kube-controller-manager kubectl)
kind=kube
if [ $# -gt 0 ]; then
  programs=("$@")
  kind=kube-programs
  unset KUBEBUILDER_ASSETS
fi

say() { echo "kube-assets: $*" >&2; }

missing_in() {
  local dir=$1 program
  for program in "${programs[@]}"; do
    [ -x "$dir/$program" ] || echo "$program"
  done
}

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  missing=$(missing_in "$KUBEBUILDER_ASSETS" | xargs)
  if [ -z "$missing" ]; then
    # Tests run in folders of their own.
    realpath -- "$KUBEBUILDER_ASSETS"
    exit 0
  fi
  say "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS lacks $missing: not used"
fi

version=$(sed -n 's|^require k8s.io/kubernetes \(v[0-9.]*\)$|\1|p' "$root/hack/kube/go.mod")
[ -n "$version" ] || { say "hack/kube/go.mod requires no k8s.io/kubernetes"; exit 1; }

# Without the stamps the programs call themselves v0.0.0-master, and version skew checks refuse them.
IFS=. read -r major minor _ <<<"${version#v}"
ldflags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  ldflags+=" -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor"
  ldflags+=" -X $package.gitTreeState=clean -X $package.gitCommit=unknown"
done

key=$( (cat "$root"/hack/{kube,etcd}/go.{mod,sum} && echo "$ldflags" "$@") | sha256sum | cut -c1-12)
# A tree may be shared by machines of several kinds.
kept=$root/.cache/$kind-$(uname -s)-$(uname -m)-$version-$key
mkdir -p "$root/.cache"

# Two callers at once, say `make test` beside `make demo`: the second waits for the first one's result.
exec 9>"$root/.cache/.kube-assets.lock"
if ! flock -n 9; then
  say "waiting for another run that is providing $version"
  flock 9
fi
if [ -z "$(missing_in "$kept")" ]; then
  echo "$kept"
  exit 0
fi

# A run that was killed cannot tidy up. What it started may outlive it, and must not keep the lock.
rm -rf "$root"/.cache/.kube-part.??????
part=$(mktemp -d "$root/.cache/.kube-part.XXXXXX")
trap 'chmod -R u+w "$part"; rm -rf "$part"' EXIT
mkdir "$part/bin"

# Fills $part/bin with the release's programs. Failing is no error: what is not there is built.
fetch_release() {
  local tool release
  tool=$("$root/hack/tool.sh" setup-envtest 9>&-) || return 0
  timeout 10 "$tool" list --bin-dir "$part/release" "${version#v}" >/dev/null 2>&1 9>&- || return 0
  say "fetching the $version release"
  release=$(timeout 180 "$tool" use --bin-dir "$part/release" --print path "${version#v}" 9>&-) || return 0
  cp "$release"/* "$part/bin/"
}

build() {
  local program=$1 hint=$2 module=$3 package=$4 flags=$5
  say "building $program, $hint the first time"
  GOOS='' GOARCH='' GOWORK=off CGO_ENABLED=0 go build -C "$root/hack/$module" -trimpath -ldflags "$flags" -o "$part/bin/$program" "$package" >&2 </dev/null 9>&- || {
    say "building $program failed; the first time it needs the module proxy: go env GOPROXY"
    say "or let KUBEBUILDER_ASSETS name a folder that holds ${programs[*]}"
    exit 1
  }
}

[ "$kind" != kube ] || fetch_release
while read -r program; do
  case $program in
    '') ;;
    etcd) build etcd "about a minute" etcd go.etcd.io/etcd/server/v3 "-s -w" ;;
    kube-apiserver) build kube-apiserver "about 6 minutes" kube k8s.io/kubernetes/cmd/kube-apiserver "$ldflags" ;;
    *) build "$program" "about 2 minutes" kube "k8s.io/kubernetes/cmd/$program" "$ldflags" ;;
  esac
done <<<"$(missing_in "$part/bin")"

rm -rf "$kept"
chmod 0755 "$part/bin"
mv -T "$part/bin" "$kept"
say "ready: $kept"
echo "$kept"
