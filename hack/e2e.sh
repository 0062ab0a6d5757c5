#!/usr/bin/env bash
# Brings the whole product up with real guests, in machine containers on this machine, and has a cluster grow, fail,
# heal, roll and go. Makes the node image first, which takes seconds where nothing of it has changed.
#
#   hack/e2e.sh                 all of it
#   hack/e2e.sh -steps 1        up to a step, and then the last
#
# Needs root and what `make build` builds. What runs, and its logs, are in .e2e/; after a failure the guests' own
# are in .e2e/evidence.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin/e2e -check "$@"
hack/packages.sh machinectr
hack/machinehosts-free.sh
hack/image.sh --tree-only
assets=$(hack/kube-assets.sh)
exec bin/e2e -assets "$assets" "$@"
