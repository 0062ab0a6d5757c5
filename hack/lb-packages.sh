#!/usr/bin/env bash
# Installs the Debian packages that the load balancers' laboratory needs, and those that are named on the command
# line, those alone that are missing, and starts none of their services. Says nothing where nothing is missing.
set -euo pipefail

declare -A package_of=([haproxy]=haproxy [keepalived]=keepalived [ip]=iproute2 [nft]=nftables)
for program in "$@"; do package_of[$program]=$program; done

# Where Debian has them, which is not in every root's PATH.
PATH=$PATH:/usr/sbin:/sbin

missing() {
  local program
  for program in "${!package_of[@]}"; do
    command -v "$program" >/dev/null || echo "${package_of[$program]}"
  done | sort
}

[ -n "$(missing)" ] || exit 0

say() { echo "lb-packages: $*" >&2; }

if [ "$(id -u)" != 0 ]; then
  say "missing: $(missing | xargs); without root they cannot be installed, and the tests that need them are left out"
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  say "missing: $(missing | xargs); without apt-get they have to be installed by hand"
  exit 1
fi

# Two runs at once: the second waits, and finds nothing missing any more.
exec 9>/var/lock/capstan-lb-packages
flock 9
packages=$(missing | xargs)
[ -n "$packages" ] || exit 0

work=$(mktemp -d)
policy=/usr/sbin/policy-rc.d
cleanup() {
  rm -rf "$work"
  # Only the one that was put there here.
  if grep -qs capstan-lb-packages "$policy"; then rm -f "$policy"; fi
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

# A package starts its service as it is installed, unless this says no.
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\n# capstan-lb-packages: for the moment of an installation\nexit 101\n' >"$policy"
  chmod 0755 "$policy"
fi

install() {
  # shellcheck disable=SC2086 # one word for each package
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 --no-install-recommends install -y $packages >"$work/log" 2>&1
}

say "installing $packages"
if ! install && ! { apt-get -qq -o DPkg::Lock::Timeout=300 update >"$work/log" 2>&1 && install; }; then
  tail -n 20 "$work/log" >&2
  say "could not install $packages; the load balancers' tests need them: apt-get install $packages"
  exit 1
fi

# A service that a unit enables would come with the next boot and take the ports of the machine's own.
if [ -d /run/systemd/system ]; then
  for unit in haproxy keepalived nftables; do
    case " $packages " in
      *" $unit "*) systemctl disable --quiet "$unit" 2>>"$work/log" || true ;;
    esac
  done
fi
