#!/usr/bin/env bash
# Parses all PowerShell scripts of the tree, for none can be run here. Needs node and npm; says SKIPPED where they, or
# the two modules that hack/powershell-check pins, are not to be had.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "SKIPPED: there is no node to parse PowerShell scripts with"
  exit 0
fi

key=$( (cat hack/powershell-check/package-lock.json && node --version) | sha256sum | cut -c1-12)
dir=$root/.cache/tools/powershell-check-$key
mkdir -p "$root/.cache/tools"
exec 9>"$root/.cache/tools/.powershell-check.lock"
flock 9
if [ ! -d "$dir" ]; then
  part=$(mktemp -d "$root/.cache/tools/.powershell-check.XXXXXX")
  trap 'rm -rf "$part"' EXIT
  cp hack/powershell-check/package*.json "$part/"
  # Nothing that the modules bring is run to install them.
  if ! timeout 120 npm ci --ignore-scripts --no-audit --no-fund --prefix "$part" >"$part/log" 2>&1 </dev/null 9>&-; then
    cat "$part/log" >&2
    echo "SKIPPED: the parser of PowerShell scripts cannot be fetched"
    exit 0
  fi
  chmod 0755 "$part"
  mv -T "$part" "$dir"
fi
# Modules are looked for beside the script that imports them.
cp hack/powershell-check/check.js "$dir/check.js"
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard -- '*.ps1')
# Compiling the parser well takes 13 s, parsing with it when compiled fast a tenth of one.
exec node --liftoff-only "$dir/check.js" "${scripts[@]}" 9>&-
