// Package iso9660 makes small ISO 9660 images by diskfs/go-diskfs, and reads them:
// a volume label and some files in the root directory, with their names as given in
// Rock Ridge (for Linux) and in Joliet (for Windows). Equal files make equal bytes.
//
// The library builds an image from a folder and stamps it with the time. Seeds
// hold private keys and are compared by their hash, so the folder is a temporary
// one that only its owner may read and that is gone when Image returns, and the
// times are blanked, which ECMA-119 reads as "not specified". Nothing that knows
// what a seed is may enter.
package iso9660
