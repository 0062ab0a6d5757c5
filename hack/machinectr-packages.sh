#!/usr/bin/env bash
# Installs the Debian packages that machine containers need, those alone that are missing. Says nothing where
# nothing is missing. None of them has a service that would start.
set -euo pipefail

declare -A package_of=(
  [systemd-nspawn]=systemd-container [mksquashfs]=squashfs-tools [ip]=iproute2 [mkfs.ext4]=e2fsprogs
  [resize2fs]=e2fsprogs [mount]=mount [unshare]=util-linux [nsenter]=util-linux [flock]=util-linux
)

# Where Debian has them, which is not in every root's PATH.
PATH=$PATH:/usr/sbin:/sbin

missing() {
  local program
  for program in "${!package_of[@]}"; do
    command -v "$program" >/dev/null || echo "${package_of[$program]}"
  done | sort -u
}

[ -n "$(missing)" ] || exit 0

say() { echo "machinectr-packages: $*" >&2; }

if [ "$(id -u)" != 0 ]; then
  say "missing: $(missing | xargs); without root they cannot be installed, and the tests that need them are left out"
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  say "missing: $(missing | xargs); without apt-get they have to be installed by hand"
  exit 1
fi

# Two runs at once: the second waits, and finds nothing missing any more.
exec 9>/var/lock/capstan-machinectr-packages
flock 9
packages=$(missing | xargs)
[ -n "$packages" ] || exit 0

log=$(mktemp)
trap 'rm -f "$log"' EXIT

install() {
  # shellcheck disable=SC2086 # one word for each package
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 --no-install-recommends install -y $packages >"$log" 2>&1
}

say "installing $packages"
if ! install && ! { apt-get -qq -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 && install; }; then
  tail -n 20 "$log" >&2
  say "could not install $packages; machine containers need them: apt-get install $packages"
  exit 1
fi
