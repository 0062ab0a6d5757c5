#!/usr/bin/env bash
# Edits NodePools under Cluster API's own reconcilers: 200 edits in a minute, stuck roll-outs, autoscaling, pauses.
#
#   hack/rollout.sh -ginkgo.focus=200
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
KUBEBUILDER_ASSETS=$(hack/kube-assets.sh)
export KUBEBUILDER_ASSETS

# The race detector needs cgo.
export CGO_ENABLED=1

exec go test -race -v -count=1 -timeout 15m ./test/rollout "$@"
