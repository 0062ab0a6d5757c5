#!/usr/bin/env bash
# Boots the node image that hack/image.sh made under QEMU, with UEFI firmware and a seed as Capstan makes it.
#
#   hack/image-check.sh [--secure-boot] [--image FILE] ...
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
hack/packages.sh image-check
source hack/env.sh

mkdir -p bin .cache/image
go build -ldflags '-s -w' -o bin/image-check ./hack/image-check
# Whoever makes the next image waits, and does not take this one away.
exec flock --shared .cache/image/.lock bin/image-check "$@"
