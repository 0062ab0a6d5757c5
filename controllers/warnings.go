package controllers

import (
	"regexp"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/cluster-api/util/apiwarnings"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// warnings logs what the API server warns of, but for the names of finalizers:
// ours are formed as Cluster API's are, and every write of an object would be told.
func warnings(log logr.Logger) rest.WarningHandler {
	handler := apiwarnings.DefaultHandler(log)
	for _, group := range []string{capstanv1.GroupVersion.Group, infrav1.GroupVersion.Group} {
		handler.Expressions = append(handler.Expressions, apiwarnings.DomainQualifiedFinalizerWarning(regexp.QuoteMeta(group)))
	}
	return handler
}
