#!/usr/bin/env bash
# Lets teams have clusters of one name beside each other, and deletes their namespaces at moments of all
# kinds. Nothing may be left, and no neighbour may notice.
#
# Needs what `make build` builds. What runs, and its logs, are in .namespaces/.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
KUBEBUILDER_ASSETS=$(hack/kube-assets.sh)
export KUBEBUILDER_ASSETS

# The race detector needs cgo.
export CGO_ENABLED=1

exec go test -race -v -count=1 -timeout 15m ./test/namespaces "$@"
