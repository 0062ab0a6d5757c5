// Package lb has the files of a load-balancer VM's image, so that laboratories run what
// ships. Nothing but files may enter.
package lb

import "embed"

// Files are the units and settings, by their paths in this folder.
//
//go:embed systemd/*.service sysctl.d/*.conf
var Files embed.FS
