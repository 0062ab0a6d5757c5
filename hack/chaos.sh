#!/usr/bin/env bash
# Has faults befall the whole product on simulated hosts, at random by a seed, and audits what comes of it;
# docs/chaos.md tells the rest.
#
#   hack/chaos.sh -seed 1 -faults 200     must find nothing
#   hack/chaos.sh --planted               plants errors in agents, one after the other, and must find each
#
# Needs what `make build` builds. What runs, and its logs, are in .chaos/.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
assets=$(hack/kube-assets.sh)

if [ "${1:-}" != --planted ]; then
  exec bin/chaos -assets "$assets" "$@"
fi
shift

# Fewer kinds of faults do: the errors are in every VM that is made or removed. A name that two VMs have is
# what one of them takes. Both kinds need VMs, so that there are some before all is over.
kinds=vm-of-the-same-name,vm-powered-off-by-hand
log=$(mktemp)
trap 'rm -f "$log"' EXIT
missed=0
found=()
for planted in double=duplicates leak=orphans unowned=lost; do
  error=${planted%=*} count=${planted#*=}
  printf '\nPlanted: %s\n' "$error"
  if bin/chaos -assets "$assets" -only "$kinds" -faults 10 -timeout 45s -plant "$error" "$@" | tee "$log"; then
    echo "chaos: it has not failed although $error was planted" >&2
    missed=1
  elif ! grep -qE "^RESULT .*\b$count=[1-9]" "$log"; then
    echo "chaos: it has failed, but found no $count although $error was planted" >&2
    missed=1
  else
    found+=("$error")
  fi
done
echo "RESULT planted=3 found=${#found[@]}"
exit "$missed"
