#!/usr/bin/env bash
# Installs the Debian packages that a part of the work needs, and programs that are named besides, those alone that
# are missing, and starts none of their services. Says nothing where nothing is missing.
#
#   hack/packages.sh [--root-only] SET [PROGRAM...]
#
#   lb           the load balancers' laboratory
#   machinectr   machine containers
#   image        making a node image
#   image-check  booting one
#   shell        linting shell scripts
#   units        judging systemd units
#
# Ends with 0 if all is there, with 1 if not, whatever the reason, and with 2 if it was called wrongly. With
# --root-only it is no failure that they are missing where nobody is root to install them: for callers that leave
# out, without root, whatever would use them.
set -euo pipefail

say() { echo "packages: $*" >&2; }
wrong() { say "$*; usage: hack/packages.sh [--root-only] lb|machinectr|image|image-check|shell|units [PROGRAM...]"; exit 2; }

root_only=no
if [ "${1:-}" = --root-only ]; then
  root_only=yes
  shift
fi
[ $# -gt 0 ] || wrong "no set is named"

# A program, or a file where a package brings no program, and after a colon the package if its name is another.
set_name=$1
shift
case $set_name in
  lb) needed=(haproxy keepalived ip:iproute2 nft:nftables) ;;
  machinectr)
    needed=(
      systemd-nspawn:systemd-container mksquashfs:squashfs-tools ip:iproute2 mkfs.ext4:e2fsprogs
      resize2fs:e2fsprogs mount unshare:util-linux nsenter:util-linux flock:util-linux
    )
    ;;
  image)
    needed=(
      mmdebstrap arch-test qemu-img:qemu-utils mksquashfs:squashfs-tools mcopy:mtools mkfs.vfat:dosfstools
      mke2fs:e2fsprogs sfdisk:fdisk unshare:util-linux gcc /usr/include/seccomp.h:libseccomp-dev
    )
    ;;
  image-check) needed=(qemu-system-x86_64:qemu-system-x86 /usr/share/OVMF/OVMF_CODE_4M.fd:ovmf qemu-img:qemu-utils) ;;
  shell) needed=(shellcheck) ;;
  units) needed=(systemd-analyze:systemd systemd-tmpfiles:systemd) ;;
  *) wrong "there is no set $set_name" ;;
esac
needed+=("$@")

# Where Debian has some of them, which is not in every root's PATH.
PATH=$PATH:/usr/sbin:/sbin

# Prints the packages that are missing, in one line.
missing() {
  local entry
  for entry in "${needed[@]}"; do
    case $entry in
      /*) [ -e "${entry%%:*}" ] || echo "${entry#*:}" ;;
      *) command -v "${entry%%:*}" >/dev/null || echo "${entry#*:}" ;;
    esac
  done | sort -u | xargs
}

# A package starts its service as it is installed, unless this says no.
policy=/usr/sbin/policy-rc.d
mark="put here by hack/packages.sh for the moment of an installation"
left_over() { grep -qsF "$mark" "$policy"; }

packages=$(missing)
if [ -z "$packages" ] && ! left_over; then exit 0; fi

if [ "$(id -u)" != 0 ]; then
  [ -n "$packages" ] || exit 0
  if [ $root_only = yes ]; then
    say "missing: $packages; only root can install them, and what needs them is left out"
    exit 0
  fi
  say "missing: $packages; only root can install them: apt-get install $packages"
  exit 1
fi
if ! command -v apt-get >/dev/null; then
  say "missing: $packages; without apt-get they have to be installed by hand"
  exit 1
fi

# Two runs at once: the second waits, and finds nothing missing any more. What a killed one left goes with it.
exec 9>/run/capstan-packages.lock
flock --timeout 600 9 || { say "another one is still installing packages after 10 minutes"; exit 1; }
packages=$(missing)

work=$(mktemp -d)
cleanup() {
  rm -rf "$work"
  if left_over; then rm -f "$policy"; fi
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

[ -n "$packages" ] || exit 0
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" >"$policy"
  chmod 0755 "$policy"
fi

apt() { DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >"$work/log" 2>&1 9>&-; }
# shellcheck disable=SC2086 # one word for each package
install() { apt --no-install-recommends install -y -- $packages; }

say "installing $packages"
if ! install && ! { apt update && install; }; then
  tail -n 20 "$work/log" >&2
  say "could not install them; try apt-get install $packages"
  exit 1
fi
still=$(missing)
if [ -n "$still" ]; then
  say "installed, but what is looked for is not there: $still"
  exit 1
fi

# A service that its package enabled would come with the next boot, and take the ports of the machine's own.
if [ -d /run/systemd/system ]; then
  # shellcheck disable=SC2086 # one word for each package
  dpkg -L $packages | sed -nE 's|.*/systemd/system/([^/@]+\.service)$|\1|p' |
    xargs --no-run-if-empty systemctl disable --quiet 2>>"$work/log" || say "could not disable their services: $(tail -n 1 "$work/log")"
fi
