#!/usr/bin/env bash
# Tells the demo's story while the manager and the agents are killed with SIGKILL at random moments, which
# must change nothing in its end. It prints the seed of what is killed when; with that:
#
#   hack/story.sh -seed=4711 -kills=20
#
# Needs what `make build` builds. What runs, and its logs, are in .story/.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
KUBEBUILDER_ASSETS=$(hack/kube-assets.sh)
export KUBEBUILDER_ASSETS

# The race detector needs cgo.
export CGO_ENABLED=1

exec go test -race -v -count=1 -timeout 15m ./test/story "$@"
