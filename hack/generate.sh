#!/usr/bin/env bash
# Writes every generated file of the tree: deep copies, CRDs, RBAC and webhook manifests, protobuf code,
# Cluster API's manifests, and the schemas of Windows' WMI classes.
#
#   hack/generate.sh [DIR]
#
# DIR is the tree to write to, this one by default; `make verify` gives it a copy and compares. Every tool
# is pinned under hack/tools, so the same tree gives the same files on every machine.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/hack/env.sh"
cd "${1:-$root}"

controller_gen=$("$root/hack/tool.sh" controller-gen)
buf=$("$root/hack/tool.sh" buf)
protoc_gen_go=$("$root/hack/tool.sh" protoc-gen-go)
protoc_gen_go_grpc=$("$root/hack/tool.sh" protoc-gen-go-grpc)

# What no longer has a source must go, so whole folders are written anew.
find api internal -name '*.pb.go' -delete
rm -rf config/crd/bases

BUF_CACHE_DIR=$root/.cache/buf "$buf" generate --path internal --template "{
  version: v2,
  plugins: [
    {local: $protoc_gen_go, out: ., opt: [paths=source_relative]},
    {local: $protoc_gen_go_grpc, out: ., opt: [paths=source_relative]}]}"

"$controller_gen" object paths=./api/...
"$controller_gen" crd paths=./api/... output:crd:dir=config/crd/bases
"$controller_gen" rbac:roleName=capstan-manager webhook \
  paths=./api/... paths=./controllers/... paths=./internal/... \
  output:rbac:dir=config/rbac output:webhook:dir=config/webhook

go run ./hack/capi-manifests
go run ./hack/wmi-schema
