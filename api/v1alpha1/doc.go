// Package v1alpha1 holds the API types of group capstan.dev: what users write,
// what Capstan's controllers write for each other, and the names of conditions
// and their reasons. No logic may enter beyond getters that the types need.
//
// +kubebuilder:object:generate=true
// +groupName=capstan.dev
package v1alpha1
