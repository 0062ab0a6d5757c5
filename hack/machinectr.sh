#!/usr/bin/env bash
# Runs the tests of the driver machinectr: the conformance suite, and, if the node image has been made, a guest of it.
#
#   hack/machinectr.sh -run TestDriverConforms/power
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source hack/env.sh
hack/machinectr-packages.sh

image=$PWD/.cache/image/node.squashfs
if [ -z "${CAPSTAN_NODE_SQUASHFS:-}" ] && [ -e "$image" ]; then
  CAPSTAN_NODE_SQUASHFS=$(readlink -f "$image")
  export CAPSTAN_NODE_SQUASHFS
fi
exec go test -count=1 -v -timeout 20m ./internal/driver/machinectr "$@"
