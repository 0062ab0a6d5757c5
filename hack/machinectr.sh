#!/usr/bin/env bash
# Runs the tests of the driver machinectr: the conformance suite, and a guest of the node image, which must have been
# made, unless it is asked to leave that out.
#
#   hack/machinectr.sh [--without-image] [-run TestDriverConforms/power ...]
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source hack/env.sh

say() { echo "machinectr: $*" >&2; }

without=no
if [ "${1:-}" = --without-image ]; then
  without=yes
  shift
fi
if [ "$(id -u)" != 0 ]; then
  say "needs root: machine containers have mounts, control groups and network interfaces of the machine's"
  exit 1
fi
hack/packages.sh machinectr

made=$PWD/.cache/image/node.squashfs
if [ $without = yes ]; then
  unset CAPSTAN_NODE_SQUASHFS
elif [ -z "${CAPSTAN_NODE_SQUASHFS:-}" ]; then
  if [ ! -e "$made" ]; then
    say "there is no node image to boot: run make image, name one by CAPSTAN_NODE_SQUASHFS, or give --without-image"
    exit 1
  fi
  CAPSTAN_NODE_SQUASHFS=$(readlink -f "$made")
  export CAPSTAN_NODE_SQUASHFS
fi

go test -count=1 -v -timeout 20m ./internal/driver/machinectr "$@"
[ $without = no ] || say "NOT TESTED, as asked: that a guest of the node image boots"
