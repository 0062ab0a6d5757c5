#!/usr/bin/env bash
# Runs the tests with the race detector: all of them, or what is named on the command line.
#
#   hack/test.sh ./internal/placement/... -run Spread
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
KUBEBUILDER_ASSETS=$(hack/kube-assets.sh)
export KUBEBUILDER_ASSETS

# The race detector needs cgo.
export CGO_ENABLED=1

[ $# -gt 0 ] || set -- ./...
exec go test -race -timeout 15m "$@"
