#!/usr/bin/env bash
# Brings the whole product up on this machine and stays up; --help tells the rest.
#
#   hack/demo.sh                        on simulated hosts
#   hack/demo.sh -driver hypervfake     the same, with the driver for Hyper-V on a fake of it
#   hack/demo.sh -driver machinectr     with real guests, as root: makes the node image first
#
# Needs what `make build` builds. What runs, and its logs, are in .demo/.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ " $* " == *" -driver machinectr "* ]]; then
  hack/packages.sh machinectr
  hack/machinehosts-free.sh
  hack/image.sh --tree-only
fi
assets=$(hack/kube-assets.sh)
exec bin/demo -assets "$assets" "$@"
