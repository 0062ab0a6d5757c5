#!/usr/bin/env bash
# Proves what tests cannot: lint, generated files in step, the Windows build, the boundaries between rooms.
# Changes nothing in the tree. All steps run, whichever fails; the last line is the result.
#
#   hack/verify.sh [STEP...]
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
module=$(go list -m)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

source hack/env.sh

steps=(lint generated modules windows boundaries shell powershell settings vulnerabilities)

lint() {
  local tool
  tool=$(hack/tool.sh golangci-lint)
  "$tool" config verify
  "$tool" run
}

# The generators run on a copy, and the copy is compared with what it was copied from: somebody who edits
# meanwhile cannot make this fail, and a failure leaves nothing to clean up.
generated() {
  local before=$work/before after=$work/after
  mkdir -p "$before"
  git ls-files -z --cached --others --exclude-standard --deduplicate |
    while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
    xargs -0 cp --parents -t "$before"
  cp -r "$before" "$after"
  hack/generate.sh "$after"
  if ! diff -r "$before" "$after" >"$work/stale"; then
    echo "out of step with their sources; run 'make generate' and commit:"
    diff -rq "$before" "$after" | sed -e "s|$before|.|g" -e "s|$after|generated|g"
    head -60 "$work/stale"
    return 1
  fi
}

modules() {
  local file dir failed=0
  for file in $(git ls-files --cached --others --exclude-standard -- 'go.mod' '*/go.mod'); do
    dir=$(dirname "$file")
    go -C "$dir" mod tidy -diff || { echo "$file: run 'go mod tidy'"; failed=1; }
  done
  return "$failed"
}

# Everything of ours that the Windows agent links, tests included. Lint sees the files for Windows here only.
windows() {
  local tool
  local -a ours
  tool=$(hack/tool.sh golangci-lint)
  export GOOS=windows GOARCH=amd64
  hack/build-agent.sh "$work/capstan-agent.exe"
  mapfile -t ours < <(go list -deps -f '{{.Dir}}' ./cmd/capstan-agent | grep "^$root/")
  go vet "${ours[@]}"
  "$tool" run "${ours[@]}"
}

# depguard reads import lines; what a binary links in the end, only the build knows.
boundaries() {
  local failed=0 command

  # Prints which of the packages that COMMAND links match PATTERN: here, and on Windows, where the agent has its driver.
  linked() {
    {
      go list -deps "$1"
      GOOS=windows go list -e -deps "$1"
    } | sort -u >"$work/deps"
    grep -E "$2" "$work/deps" || true
  }
  complain() {
    [ -n "$2" ] || return 0
    printf '%s:\n%s\n' "$1" "$2"
    failed=1
  }

  # Whatever is shipped for a host or an LB VM is named so.
  for command in $(go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' ./cmd/... | grep -v '/kubectl-'); do
    found=$(linked "$command" "^(k8s.io|sigs.k8s.io)/|^$module/(api|controllers|internal/(capi|fabric|testenv|driver/(simulated|conformance|hyperv/wmi(fake|remote))))(/|$)")
    complain "$command links what does not belong on its machine" "$found"
  done
  for command in . $(go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' ./cmd/... | grep '/kubectl-' || true); do
    found=$(linked "$command" "^$module/internal/(agent|lbagent|fabric|testenv|driver)(/|$)|^sigs.k8s.io/cluster-api/test(/|$)")
    complain "$command links the hosts' side or a simulator" "$found"
  done

  # shellcheck disable=SC2016 # the dollars are the template's own
  go list -f '{{$p := .ImportPath}}{{range .Imports}}{{$p}} {{.}}{{"\n"}}{{end}}{{range .TestImports}}{{$p}} {{.}}{{"\n"}}{{end}}{{range .XTestImports}}{{$p}} {{.}}{{"\n"}}{{end}}' ./... >"$work/imports"
  found=$(grep -E ' sigs.k8s.io/cluster-api/(core|(bootstrap|controlplane)/kubeadm/(reconcilers|webhooks))/' "$work/imports" | grep -v "^$module/internal/capi[ /]" || true)
  complain "Cluster API's reconcilers and webhooks belong to internal/capi" "$found"

  return "$failed"
}

shell() {
  local files
  hack/packages.sh shell
  mapfile -t files < <(git grep --untracked -l -E '^#!(/usr/bin/env bash|/bin/(ba)?sh)' -- . ':!*.go')
  shellcheck -x "${files[@]}"
}

# Scripts that administrators run on hosts are parsed: nothing here can run them.
powershell() { hack/powershell-check.sh; }

# What systemd and the kernel of a load-balancer VM make of the image's files. systemd does not have to run here, and
# nothing of this machine's is touched.
settings() {
  local image=$root/images/lb guest=$work/guest program setting faults=0
  local -a units
  if ! hack/packages.sh units; then
    echo "SKIPPED: there is no systemd-analyze here, and it cannot be installed"
    return 0
  fi
  mkdir -p "$guest"/etc/{systemd/system,tmpfiles.d} "$guest/usr/lib/systemd"
  cp -a /usr/lib/systemd/system "$guest/usr/lib/systemd/"
  cp "$image"/systemd/* "$guest/etc/systemd/system/"
  cp "$image"/tmpfiles.d/* "$guest/etc/tmpfiles.d/"
  echo 'root:x:0:0::/root:/bin/sh' >"$guest/etc/passwd"
  echo 'root:x:0:' >"$guest/etc/group"
  # Of programs it is asked whether they are there.
  while IFS= read -r program; do
    mkdir -p "$guest$(dirname "$program")"
    install -m 0755 /dev/null "$guest$program"
  done < <(sed -nE 's|^Exec[A-Za-z]*=[-@:+!]*(/[^ ]+).*|\1|p' "$image"/systemd/*)

  mapfile -t units < <(cd "$image/systemd" && ls)
  # It warns of words that it does not know, and succeeds.
  systemd-analyze verify --man=no --root="$guest" "${units[@]}" >"$work/said" 2>&1 || faults=1
  [ ! -s "$work/said" ] || faults=1
  cat "$work/said"
  systemd-tmpfiles --create --root="$guest" "$guest"/etc/tmpfiles.d/* || faults=1
  if ! unshare --net --map-root-user true; then
    echo "SKIPPED: kernel settings, since no network of one's own can be made here; the rest was looked at"
    return "$faults"
  fi
  for setting in "$image"/sysctl.d/*; do
    # All settings are the network's, of which this makes one that nobody else has.
    unshare --net --map-root-user sysctl --quiet --load="$setting" || faults=1
  done
  return "$faults"
}

# A database that does not answer is no clean bill of health.
vulnerabilities() {
  local tool status=0
  tool=$(hack/tool.sh govulncheck)
  timeout 30 "$tool" ./internal/pki >"$work/probe" 2>&1 || status=$?
  if [ "$status" = 124 ] || grep -q 'fetching vulnerabilities' "$work/probe"; then
    echo "SKIPPED: the vulnerability database cannot be reached"
    return 0
  fi
  "$tool" ./...
}

[ $# -eq 0 ] || steps=("$@")
failed=()
for step in "${steps[@]}"; do
  printf '== %-16s' "$step"
  began=$SECONDS
  # A subshell of its own process: set -e holds inside, which it would not in a condition here.
  set +e
  (set -e; "$step") >"$work/log" 2>&1 </dev/null
  status=$?
  set -e
  verdict=ok
  [ "$status" = 0 ] || { verdict=FAILED; failed+=("$step"); }
  [ "$verdict" != ok ] || ! grep -q '^SKIPPED' "$work/log" || verdict=$(grep -m1 '^SKIPPED' "$work/log")
  echo "$verdict, $((SECONDS - began)) s"
  [ "$status" = 0 ] || sed "s|$root/||g; s|^|   |" "$work/log" | tail -n 200
done

if [ ${#failed[@]} -gt 0 ]; then
  echo "RESULT verify=failed steps=$(IFS=,; echo "${failed[*]}")"
  exit 1
fi
echo "RESULT verify=ok"
