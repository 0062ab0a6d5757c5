# shellcheck shell=bash
# Sourced by the scripts that build: static binaries that say nothing of the machine that built them. Lint
# and the generators build with the same settings, so that all share one build cache.
export CGO_ENABLED=0
GOFLAGS="$(go env GOFLAGS) -trimpath"
export GOFLAGS
