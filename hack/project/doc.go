// Package project holds the test that keeps the kubebuilder PROJECT file in step with the API. Nothing
// else belongs here.
package project
