#!/usr/bin/env bash
# Builds every command of the module into bin/, and the host agent for Windows.
#
#   VERSION=v1.2.3 hack/build.sh     as a release: every binary says so
#
# The same sources give the same bytes, wherever and whenever they are built: no paths, no times. The agent for Windows is
# ready to be signed; a signature goes on top of these bytes.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source hack/env.sh

module=$(go list -m)
stamp=''
[ -z "${VERSION:-}" ] || stamp="-X $module/internal/buildinfo.version=$VERSION"

# Generators run from source, by hack/generate.sh.
commands=$(go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' ./... | grep -vE '/hack/(capi-manifests|wmi-schema)$')

mkdir -p bin
xargs go build -ldflags "-s -w $stamp" -o bin/ <<<"$commands"
hack/build-agent.sh bin/capstan-agent.exe
ls -sh bin
