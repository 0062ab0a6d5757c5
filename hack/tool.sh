#!/usr/bin/env bash
# Prints the path of a pinned development tool, after building it if need be.
#
#   hack/tool.sh golangci-lint
#
# Each tool is a module of its own under hack/tools, so that no tool's dependencies meet another's or
# the product's. The build is kept under .cache/tools by the hash of what went into it, so a changed pin
# is a changed path and an unchanged one costs nothing. It is built aside and put there whole.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
name=${1:?usage: hack/tool.sh NAME, where NAME is a folder of hack/tools}
module=$root/hack/tools/$name
[ -f "$module/go.mod" ] || { echo "hack/tool.sh: no such tool: $name" >&2; exit 2; }

# A tree may be shared by machines of several kinds.
key=$( (cat "$module/go.mod" "$module/go.sum" && go env GOVERSION && uname -sm) | sha256sum | cut -c1-12)
dir=$root/.cache/tools/$name-$key
if [ -x "$dir/$name" ]; then
  echo "$dir/$name"
  exit 0
fi

mkdir -p "$root/.cache/tools"
exec 9>"$root/.cache/tools/.$name.lock"
if ! flock -n 9; then
  echo "waiting for another run that is building $name" >&2
  flock 9
fi
if [ ! -x "$dir/$name" ]; then
  echo "building $name (once)" >&2
  # A run that was killed cannot tidy up. What it started may outlive it, and must not keep the lock.
  rm -rf "$root/.cache/tools/.$name".??????
  part=$(mktemp -d "$root/.cache/tools/.$name.XXXXXX")
  trap 'rm -rf "$part"' EXIT
  # Tools run where they are built, whatever the caller is compiling for.
  GOOS='' GOARCH='' GOWORK=off CGO_ENABLED=0 go build -C "$module" -trimpath -ldflags '-s -w' -o "$part/" tool >&2 </dev/null 9>&- || {
    echo "hack/tool.sh: building $name failed; the first time it needs the module proxy: go env GOPROXY" >&2
    exit 1
  }
  [ -x "$part/$name" ] || { echo "hack/tool.sh: hack/tools/$name builds no program of that name" >&2; exit 1; }
  chmod 0755 "$part"
  rm -rf "$dir"
  mv -T "$part" "$dir"
fi
echo "$dir/$name"
