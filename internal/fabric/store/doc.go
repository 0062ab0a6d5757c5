// Package store keeps the fabric's state on disk: records by kind and key, each
// a JSON value, changed in transactions that are written as one line of a log.
//
// It knows nothing of what the records mean.
package store
