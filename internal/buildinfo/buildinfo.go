// Package buildinfo tells which version of Capstan this is.
package buildinfo

import "runtime/debug"

// version is set by the linker.
var version = ""

// Version returns the version that was built, or what the module system knows.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
