#!/usr/bin/env bash
# Builds the host agent for Windows, with the version and manifest that Explorer, Get-Item and Windows itself read.
#
#   [VERSION=v1.2.3] hack/build-agent.sh FILE
#
# The resources are put into the finished program, so that no object file ever lies in the tree. Neither step knows a
# time or a path: the same sources and version give the same bytes.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source hack/env.sh
file=${1:?usage: hack/build-agent.sh FILE}

# Two agents of one version are one program: what git cannot name has no version.
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo unknown)}
# Windows compares four numbers, which only a release has.
numbers=$(sed -nE 's/^v?([0-9]+\.[0-9]+\.[0-9]+).*/\1.0/p' <<<"$version")

module=$(go list -m)
part=$(mktemp "$file.XXXXXX")
trap 'rm -f "$part"' EXIT
GOOS=windows GOARCH=amd64 go build -ldflags "-s -w -X $module/internal/buildinfo.version=$version" -o "$part" ./cmd/capstan-agent
"$(hack/tool.sh go-winres)" patch --no-backup --in cmd/capstan-agent/winres/winres.json \
  --product-version "$version" --file-version "${numbers:-0.0.0.0}" "$part"
chmod 0755 "$part"
mv -T "$part" "$file"
trap - EXIT

limit=$((25 * 1024 * 1024))
size=$(stat -c %s "$file")
echo "capstan-agent.exe $version: $((size / 1024)) KiB, sha256 $(sha256sum "$file" | cut -d' ' -f1)"
[ "$size" -lt "$limit" ] || { echo "hack/build-agent.sh: the agent must stay below $limit bytes" >&2; exit 1; }
