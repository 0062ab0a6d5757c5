#!/usr/bin/env bash
# Makes the Linux node image that images/linux/image.yaml describes; docs/images.md has the rest.
#
#   hack/image.sh [--tree-only] [--mirror URL] ...
#
# Needs root. What it makes is kept under .cache/image, step by step.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
hack/packages.sh image
source hack/env.sh
# Where Debian has sfdisk and its like, which is not in every root's PATH.
export PATH=$PATH:/usr/sbin:/sbin

mkdir -p bin
go build -ldflags '-s -w' -o bin/image ./hack/image
exec bin/image "$@"
