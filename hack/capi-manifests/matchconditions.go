package main

import (
	"fmt"
	"slices"
	"strings"
)

// judgedBy are the webhooks whose answer to an update follows from what the old and
// the new object say here, and from nothing else that an update can change. If that
// is as it was, such a webhook has nothing to fill in and nothing to refuse: it was
// asked about the same when it was written. Finalizers, owners and managed fields
// make up a third of the updates of a cluster on its way to Ready.
//
// The webhooks of other kinds look at further objects or at the request, or are
// hardly ever called.
var judgedBy = map[string][]string{
	"default.cluster.cluster.x-k8s.io":               content,
	"validation.cluster.cluster.x-k8s.io":            content,
	"default.machinedeployment.cluster.x-k8s.io":     content,
	"validation.machinedeployment.cluster.x-k8s.io":  content,
	"default.machinehealthcheck.cluster.x-k8s.io":    content,
	"validation.machinehealthcheck.cluster.x-k8s.io": content,
	"default.machineset.cluster.x-k8s.io":            content,
	"validation.machineset.cluster.x-k8s.io":         content,
	// A Machine of a MachinePool may do without bootstrap data, and its owner tells.
	"default.machine.cluster.x-k8s.io":                             withOwners,
	"validation.machine.cluster.x-k8s.io":                          withOwners,
	"validation.kubeadmconfig.bootstrap.cluster.x-k8s.io":          content,
	"validation.kubeadmconfigtemplate.bootstrap.cluster.x-k8s.io":  content,
	"default.kubeadmcontrolplane.controlplane.cluster.x-k8s.io":    content,
	"validation.kubeadmcontrolplane.controlplane.cluster.x-k8s.io": content,
}

var (
	content    = []string{"?spec", "metadata.?labels", "metadata.?annotations"}
	withOwners = append(slices.Clone(content), "metadata.?ownerReferences")
)

// refusing are the webhooks that refuse nothing but another spec than the object was made
// with, and with these operations what is wrong in it. They fill in nothing. A cluster's
// addresses are claimed, held on to and given back without asking the first of them.
var refusing = map[string][]string{
	"validation.ipaddressclaim.ipam.cluster.x-k8s.io": nil,
	"validation.ipaddress.ipam.cluster.x-k8s.io":      {"CREATE"},
}

// asksAbout returns the conditions of a webhook, nil if it is asked about everything.
func asksAbout(webhook string) []any {
	if fields, known := judgedBy[webhook]; known {
		return []any{changed(fields)}
	}
	if operations, known := refusing[webhook]; known {
		return []any{respecified(operations)}
	}
	return nil
}

// respecified is the condition that a request is of one of these operations, or changes
// the spec.
func respecified(operations []string) map[string]any {
	var terms []string
	for _, operation := range operations {
		terms = append(terms, fmt.Sprintf("request.operation == %q", operation))
	}
	terms = append(terms, `request.operation == "UPDATE" && object.?spec != oldObject.?spec`)
	return map[string]any{"name": "respecified", "expression": strings.Join(terms, " || ")}
}

// changed is the condition that a request may matter to a webhook that judges by
// these fields.
func changed(fields []string) map[string]any {
	terms := []string{`request.operation != "UPDATE"`}
	for _, field := range fields {
		terms = append(terms, fmt.Sprintf("object.%s != oldObject.%s", field, field))
	}
	return map[string]any{"name": "changed", "expression": strings.Join(terms, " || ")}
}
