#!/usr/bin/env bash
# Ends with 1 where a demo or an end-to-end run has hosts of machine containers on this machine: whoever makes an
# image for another would wait until that one ends.
set -euo pipefail

claim=/run/capstan-machinehosts/folder
if [ -e "$claim" ] && ! flock --nonblock "$claim" true; then
  echo "hosts of machine containers are on this machine already: another demo or end-to-end run is using them" >&2
  exit 1
fi
