#!/usr/bin/env bash
# Prints the path of a pinned development tool, after building it if need be.
#
#   hack/tool.sh golangci-lint
#
# Each tool is a module of its own under hack/tools, so that no tool's dependencies meet another's or
# the product's. The build is kept under .cache/tools by the hash of what went into it, so a changed pin
# is a changed path and an unchanged one costs nothing.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
name=${1:?usage: hack/tool.sh NAME, where NAME is a folder of hack/tools}
module=$root/hack/tools/$name
[ -f "$module/go.mod" ] || { echo "hack/tool.sh: no such tool: $name" >&2; exit 2; }

key=$( (cat "$module/go.mod" "$module/go.sum"; go env GOVERSION) | sha256sum | cut -c1-12)
dir=$root/.cache/tools/$name-$key
if [ -x "$dir/$name" ]; then
  echo "$dir/$name"
  exit 0
fi

mkdir -p "$root/.cache/tools"
exec 9>"$root/.cache/tools/.$name.lock"
flock 9
if [ ! -x "$dir/$name" ]; then
  echo "building $name (once)" >&2
  part=$(mktemp -d "$root/.cache/tools/.$name.XXXXXX")
  trap 'rm -rf "$part"' EXIT
  # Tools run where they are built, whatever the caller is compiling for.
  GOOS='' GOARCH='' GOWORK=off CGO_ENABLED=0 go build -C "$module" -trimpath -ldflags '-s -w' -o "$part/" tool >&2
  chmod 0755 "$part"
  mv -T "$part" "$dir"
fi
echo "$dir/$name"
