package capi

// NewJoinedStatus lets specs say which round of a reconciler a context is of.
var NewJoinedStatus = newJoinedStatus
