#!/usr/bin/env bash
# Grows a control plane from one member to three and five and back, and takes the power from its members'
# hosts, while its API server is asked all the time; then has what lay on a lost host replaced. It takes away,
# one after the other, each volume and each host that three members are on, and prints the longest time
# without an answer; then a host of a failover cluster, which fails over, everything at once, and the management
# cluster. It takes away the host of a load balancer, drains a host, and sweeps orphans.
#
# Needs what `make build` builds. What runs, and its logs, are in .ha/.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
KUBEBUILDER_ASSETS=$(hack/kube-assets.sh)
export KUBEBUILDER_ASSETS

# The race detector needs cgo.
export CGO_ENABLED=1

exec go test -race -v -count=1 -timeout 60m ./test/ha "$@"
