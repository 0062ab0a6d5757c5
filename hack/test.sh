#!/usr/bin/env bash
# Runs the tests with the race detector: all of them, or what is named on the command line. All but five:
# test/clients, test/ha, test/namespaces and test/story run whole programs and want the machine to themselves, and test/rollout
# edits for a minute, so the scripts of the same names beside this one run them.
#
#   hack/test.sh ./internal/placement/... -run Spread
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
hack/packages.sh --root-only lb
hack/packages.sh --root-only machinectr
KUBEBUILDER_ASSETS=$(hack/kube-assets.sh)
export KUBEBUILDER_ASSETS

# What a build cache has of one checkout is good for another. The race detector needs cgo.
source hack/env.sh
export CGO_ENABLED=1

if [ $# != 0 ]; then
  exec go test -race -timeout 15m "$@"
fi

packages=$(go list ./... | grep -vE '/test/(clients|ha|namespaces|rollout|story)$')
# Load balancers that get no CPU for 0.6 s lose their VIPs, as they should. These have the machine to themselves.
alone='/(test/lb|internal/fabric/lbvm)$'
# In this order the others are run. What takes long comes first, or it would be at work alone in the end.
long='/(internal/(admission|capi|driver/(hyperv|machinectr)|lbagent/haproxy)|controllers/(addon|loadbalancer|service|virtualmachine))$'
mapfile -t together < <(grep -E "$long" <<<"$packages" && grep -vE "$long|$alone" <<<"$packages")
mapfile -t apart < <(grep -E "$alone" <<<"$packages")
status=0
# One more than there are cores: suites also wait, for servers and for time to pass.
go test -race -timeout 15m -p "$(($(nproc) + 1))" "${together[@]}" || status=$?
go test -race -timeout 15m -p 1 "${apart[@]}" || status=$?
exit "$status"
