#!/usr/bin/env bash
# Starts the agent that is built for Windows under Wine, as far as that goes: the program, its refusals, its
# listener, and what it makes of a host without Hyper-V. Wine has no Hyper-V, no service SIDs and no delayed
# starts, so this proves that the binary runs, and no more. Nothing depends on it: it is for whoever changes cmd/capstan-agent.
#
# Needs Debian's wine, wine64 and binutils-mingw-w64-x86-64, and installs nothing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
for program in wine wineserver x86_64-w64-mingw32-dlltool x86_64-w64-mingw32-ld; do
  command -v "$program" >/dev/null || { echo "SKIPPED: there is no $program: apt-get install wine wine64 binutils-mingw-w64-x86-64"; exit 0; }
done

work=$(mktemp -d)
export WINEPREFIX=$work/prefix WINEDEBUG=-all DISPLAY='' WINEDLLOVERRIDES='mscoree,mshtml=;bcryptprimitives=n'
end() {
  wineserver -k 2>/dev/null || true
  wineserver -w 2>/dev/null || true
  rm -rf "$work"
}
trap end EXIT

hack/build-agent.sh "$work/capstan-agent.exe"

# Go takes its random numbers from a function that Wine 8 lacks; another one does the same.
printf 'LIBRARY bcryptprimitives.dll\nEXPORTS\nProcessPrng = advapi32.SystemFunction036\n' >"$work/random.def"
x86_64-w64-mingw32-dlltool --def "$work/random.def" --output-exp "$work/random.exp" --dllname bcryptprimitives.dll
x86_64-w64-mingw32-ld --shared -e 0 -o "$work/bcryptprimitives.dll" "$work/random.exp"
timeout 300 wine wineboot -i >"$work/boot.log" 2>&1 || { cat "$work/boot.log"; exit 1; }
cp "$work/bcryptprimitives.dll" "$WINEPREFIX/drive_c/windows/system32/"

agent() { timeout 60 wine "$work/capstan-agent.exe" "$@"; }
expect() {
  grep -q -- "$1" "$2" || { echo "the agent does not say: $1"; cat "$2"; exit 1; }
  echo "ok: $1"
}

agent version >"$work/version" 2>&1
expect '^capstan-agent ' "$work/version"
agent --help >"$work/help" 2>&1
expect 'capstan-agent service install' "$work/help"
expect '--hyperv-volume' "$work/help"
status=0
agent service status >"$work/status" 2>&1 || status=$?
expect 'not installed' "$work/status"
[ "$status" = 4 ] || { echo "status of no service ends with $status"; exit 1; }
# Wine gives files to who started it, who is no administrator in its eyes.
agent service install -- --listen :0 >"$work/install" 2>&1 && { echo 'a program that others could replace was installed'; exit 1; }
expect 'others than administrators could replace it' "$work/install"

timeout 120 wine "$work/capstan-agent.exe" --listen 127.0.0.1:0 --state-dir 'C:\state' --hyperv-volume=data=C: >"$work/first" 2>&1 &
for _ in $(seq 300); do
  ! grep -q 'host does not tell' "$work/first" || break
  sleep 0.2
done
expect 'event=100 .*driver=hyperv' "$work/first"
expect 'host does not tell how it is' "$work/first"
status=0
# By the lock, or already by the owner that folders have under Wine.
agent --listen 127.0.0.1:0 --state-dir 'C:\state' --hyperv-volume=data=C: >"$work/second" 2>&1 || status=$?
expect 'event=201' "$work/second"
[ "$status" = 1 ] || { echo "a second agent ends with $status"; exit 1; }
echo "RESULT wine=ok"
