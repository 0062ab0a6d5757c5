// Package iso9660 writes small ISO 9660 images in memory: a volume label and
// some files in the root directory, with their names as given in Rock Ridge (for
// Linux) and in Joliet (for Windows).
//
// It exists because of what a seed is. Seeds carry a cluster's private keys and
// join tokens, and must be a function of their input. The libraries that can
// write such images (kdomanski/iso9660, diskfs/go-diskfs) stage all content as
// files in a temporary folder and stamp the image with the current time; of
// their names, the first writes lower-case ones into the primary directory,
// which the standard does not allow there, and no path table, by which Windows
// finds directories. The tests read images back with the first.
//
// The formats are ECMA-119 (ISO 9660), the System Use Sharing Protocol 1.10, the
// Rock Ridge Interchange Protocol 1.09 and the Joliet specification. Nothing that
// knows what a seed is may enter, and only the standard library may be imported.
package iso9660
