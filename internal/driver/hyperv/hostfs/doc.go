// Package hostfs is the file system of a host as the Hyper-V driver needs it: whole files
// with the driver's records, folders that appear at once, and large files that grow. OS is the
// machine's own; the fake host has one that can fill up, vanish, and be seen by several nodes.
//
// It knows no paths of Capstan's, and nothing of Hyper-V.
package hostfs
