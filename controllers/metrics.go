package controllers

import (
	"crypto/tls"

	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/capstan-k8s/capstan/internal/servingcert"
)

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// metricsOptions has metrics served to those alone whom the API server knows and
// lets read /metrics, by the certificate that the webhooks are served by. Reasons
// and hosts tell a stranger too much.
func metricsOptions(options *Options, certificates *servingcert.Keeper) metricsserver.Options {
	if options.MetricsInsecure {
		return metricsserver.Options{BindAddress: options.MetricsAddress}
	}
	return metricsserver.Options{
		BindAddress:    options.MetricsAddress,
		SecureServing:  true,
		FilterProvider: filters.WithAuthenticationAndAuthorization,
		TLSOpts:        []func(*tls.Config){certificates.ConfigureTLS},
	}
}
