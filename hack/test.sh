#!/usr/bin/env bash
# Runs the tests with the race detector: all of them, or what is named on the command line. All but five:
# test/clients, test/ha, test/namespaces and test/story run whole programs and want the machine to themselves, and test/rollout
# edits for a minute, so the scripts of the same names beside this one run them.
#
#   hack/test.sh ./internal/placement/... -run Spread
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
hack/lb-packages.sh
hack/machinectr-packages.sh
KUBEBUILDER_ASSETS=$(hack/kube-assets.sh)
export KUBEBUILDER_ASSETS

# The race detector needs cgo.
export CGO_ENABLED=1

if [ $# = 0 ]; then
  packages=$(go list ./...)
  mapfile -t all < <(grep -vE '/test/(clients|ha|namespaces|rollout|story)$' <<<"$packages")
  set -- "${all[@]}"
fi
exec go test -race -timeout 15m "$@"
