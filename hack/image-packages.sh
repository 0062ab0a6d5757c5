#!/usr/bin/env bash
# Installs the Debian packages that making a node image needs, and with the word "check" those for booting
# one. Says nothing where nothing is missing.
set -euo pipefail

# By a file of each package: not every package brings a program.
declare -A package_of=(
  [/usr/bin/mmdebstrap]=mmdebstrap
  [/usr/bin/arch-test]=arch-test
  [/usr/bin/qemu-img]=qemu-utils
  [/usr/bin/mksquashfs]=squashfs-tools
  [/usr/bin/mcopy]=mtools
  [/usr/sbin/mkfs.vfat]=dosfstools
  [/usr/sbin/mke2fs]=e2fsprogs
  [/usr/sbin/sfdisk]=fdisk
  [/usr/bin/unshare]=util-linux
  [/usr/bin/gcc]=gcc
  [/usr/include/seccomp.h]=libseccomp-dev
)
if [ "${1:-}" = check ]; then
  package_of=([/usr/bin/qemu-system-x86_64]=qemu-system-x86 [/usr/share/OVMF/OVMF_CODE_4M.fd]=ovmf [/usr/bin/qemu-img]=qemu-utils)
fi

missing() {
  local file
  for file in "${!package_of[@]}"; do
    # A root that was merged later has some of them at their old place.
    [ -e "$file" ] || [ -e "${file#/usr}" ] || echo "${package_of[$file]}"
  done | sort
}

packages=$(missing | xargs)
[ -n "$packages" ] || exit 0

say() { echo "image-packages: $*" >&2; }

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  say "missing: $packages; they have to be installed by hand"
  exit 1
fi

# Two runs at once: the second waits, and finds nothing missing any more.
exec 9>/var/lock/capstan-image-packages
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
  say "could not install $packages"
  exit 1
fi
