#!/usr/bin/env bash
# Replaces both load-balancer VMs of a cluster, and then its three control-plane machines, while stock curl and
# kubectl ask its API server all the time.
#
# Needs root and what `make build` builds. What runs, and its logs, are in .clients/.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
hack/packages.sh lb curl
# Where Debian has HAProxy, which is not in every root's PATH.
PATH=$PATH:/usr/sbin:/sbin
KUBEBUILDER_ASSETS=$(hack/kube-assets.sh)
export KUBEBUILDER_ASSETS

# The race detector needs cgo.
export CGO_ENABLED=1

exec go test -race -v -count=1 -timeout 20m ./test/clients "$@"
