package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// aggregationLabels are the labels by which providers outside upstream hand
// Cluster API the rights on their own kinds; they are upstream's contract.
var aggregationLabels = []string{
	"cluster.x-k8s.io/aggregate-to-manager",
	"kubeadm.controlplane.cluster.x-k8s.io/aggregate-to-manager",
}

// clusterRoles returns the one role that holds what all providers may do, and
// the role that aggregates it with what other providers hand over: the latter
// is the one to bind.
func clusterRoles(mod module) ([]any, error) {
	var rules []rbacv1.PolicyRule
	for _, provider := range providers {
		var role rbacv1.ClusterRole
		if err := decodeFile(mod.path(provider, "config", "rbac", "role.yaml"), &role); err != nil {
			return nil, err
		}
		rules = append(rules, role.Rules...)
	}
	merged, err := mergeRules(rules)
	if err != nil {
		return nil, err
	}

	selectors := make([]metav1.LabelSelector, 0, len(aggregationLabels))
	for _, label := range aggregationLabels {
		selectors = append(selectors, metav1.LabelSelector{MatchLabels: map[string]string{label: "true"}})
	}
	return []any{
		clusterRole{
			TypeMeta: clusterRoleType,
			Metadata: metadata{Name: "capstan-capi", Labels: map[string]string{
				partOfLabel:          partOf,
				aggregationLabels[0]: "true",
			}},
			Rules: merged,
		},
		clusterRole{
			TypeMeta:        clusterRoleType,
			Metadata:        metadata{Name: "capstan-capi-aggregated", Labels: map[string]string{partOfLabel: partOf}},
			AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: selectors},
			Rules:           []rbacv1.PolicyRule{},
		},
	}, nil
}

var clusterRoleType = metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"}

// clusterRole leaves out what rbacv1.ClusterRole would print as null.
type clusterRole struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metadata                `json:"metadata"`
	AggregationRule *rbacv1.AggregationRule `json:"aggregationRule,omitempty"`
	Rules           []rbacv1.PolicyRule     `json:"rules"`
}

type metadata struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
}

// target is one thing that a rule grants verbs on.
type target struct {
	group, resource, name string
}

// mergeRules returns the shortest equal set of rules, in a fixed order.
func mergeRules(rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	verbs := map[target]sets.Set[string]{}
	for _, rule := range rules {
		if len(rule.NonResourceURLs) > 0 {
			return nil, fmt.Errorf("a rule on non-resource URLs %v is not expected of Cluster API", rule.NonResourceURLs)
		}
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					key := target{group, resource, name}
					if verbs[key] == nil {
						verbs[key] = sets.New[string]()
					}
					verbs[key].Insert(rule.Verbs...)
				}
			}
		}
	}
	dropSubsumed(verbs)
	return regroup(verbs), nil
}

// dropSubsumed removes what a wider entry grants already: all resources of the
// group, or the resource whatever its name.
func dropSubsumed(verbs map[target]sets.Set[string]) {
	for key, granted := range verbs {
		for _, wider := range []target{{key.group, "*", ""}, {key.group, key.resource, ""}} {
			if wider != key && verbs[wider] != nil && verbs[wider].IsSuperset(granted) {
				delete(verbs, key)
			}
		}
	}
}

// regroup joins targets that differ in one dimension only: names first, then
// resources, then groups.
func regroup(verbs map[target]sets.Set[string]) []rbacv1.PolicyRule {
	rules := make([]rbacv1.PolicyRule, 0, len(verbs))
	for key, granted := range verbs {
		rule := rbacv1.PolicyRule{APIGroups: []string{key.group}, Resources: []string{key.resource}, Verbs: sets.List(granted)}
		if key.name != "" {
			rule.ResourceNames = []string{key.name}
		}
		rules = append(rules, rule)
	}
	for _, dimension := range []func(*rbacv1.PolicyRule) *[]string{
		func(r *rbacv1.PolicyRule) *[]string { return &r.ResourceNames },
		func(r *rbacv1.PolicyRule) *[]string { return &r.Resources },
		func(r *rbacv1.PolicyRule) *[]string { return &r.APIGroups },
	} {
		rules = joinAlong(rules, dimension)
	}
	return rules
}

func joinAlong(rules []rbacv1.PolicyRule, dimension func(*rbacv1.PolicyRule) *[]string) []rbacv1.PolicyRule {
	joined := map[string]rbacv1.PolicyRule{}
	for _, rule := range rules {
		values := *dimension(&rule)
		*dimension(&rule) = nil
		// A rule for named objects must never swallow one for all objects.
		key := fmt.Sprint(ruleKey(rule), len(values) == 0)
		into, found := joined[key]
		if !found {
			into = rule
		}
		all := sets.New(*dimension(&into)...).Insert(values...)
		*dimension(&into) = nil
		if all.Len() > 0 {
			*dimension(&into) = sets.List(all)
		}
		joined[key] = into
	}
	return slices.SortedFunc(maps.Values(joined), func(a, b rbacv1.PolicyRule) int {
		return cmp.Compare(ruleKey(a), ruleKey(b))
	})
}

func ruleKey(rule rbacv1.PolicyRule) string {
	parts := [][]string{rule.APIGroups, rule.Resources, rule.ResourceNames, rule.Verbs}
	joined := make([]string, 0, len(parts))
	for _, part := range parts {
		joined = append(joined, strings.Join(part, ","))
	}
	return strings.Join(joined, "|")
}
