#!/usr/bin/env bash
# Builds every command of the module into bin/, and the host agent for Windows.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source hack/env.sh

# Generators run from source, by hack/generate.sh.
commands=$(go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' ./... | grep -v '/hack/capi-manifests$')

mkdir -p bin
xargs go build -ldflags '-s -w' -o bin/ <<<"$commands"
GOOS=windows GOARCH=amd64 go build -ldflags '-s -w' -o bin/capstan-agent.exe ./cmd/capstan-agent
ls -sh bin
