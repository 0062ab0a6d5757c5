#!/usr/bin/env bash
# Does to two load-balancer VMs what befalls such VMs, all of it, under 5,000 connections a second.
#
# Needs root. Everything is in namespaces of the test's own, and goes with it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
hack/packages.sh lb

# The race detector needs cgo.
export CGO_ENABLED=1

exec go test -race -v -count=1 -timeout 20m ./test/lb -rate 5000 -all "$@"
