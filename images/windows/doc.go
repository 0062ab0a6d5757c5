// Package windows has the files of a Windows node's image, as an administrator with
// Windows' media makes it, so that tests can hold them against the seeds that nodes
// boot with. Nothing but files may enter.
package windows

import "embed"

// Files are the recipe, by their paths in this folder.
//
//go:embed *.xml packages.json kube-proxy.yaml files README.md
var Files embed.FS
