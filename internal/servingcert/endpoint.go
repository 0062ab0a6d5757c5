package servingcert

import (
	"net/url"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/types"
)

// endpoint is where the API server finds the webhook server.
type endpoint struct {
	service types.NamespacedName
	baseURL string
}

// admission points an admission webhook here. What the API server has defaulted
// in the configuration stays, or every look would find a difference.
func (e endpoint) admission(config *admissionregistrationv1.WebhookClientConfig, bundle []byte) {
	config.CABundle = bundle
	if config.Service == nil {
		config.Service = &admissionregistrationv1.ServiceReference{Path: e.pathOf(config.URL)}
	}
	if e.baseURL != "" {
		config.URL, config.Service = e.urlOf(config.Service.Path), nil
		return
	}
	config.URL = nil
	config.Service.Namespace, config.Service.Name = e.service.Namespace, e.service.Name
}

// conversion points a CRD's conversion here, as admission does.
func (e endpoint) conversion(config *apiextensionsv1.WebhookClientConfig, bundle []byte) {
	config.CABundle = bundle
	if config.Service == nil {
		config.Service = &apiextensionsv1.ServiceReference{Path: e.pathOf(config.URL)}
	}
	if e.baseURL != "" {
		config.URL, config.Service = e.urlOf(config.Service.Path), nil
		return
	}
	config.URL = nil
	config.Service.Namespace, config.Service.Name = e.service.Namespace, e.service.Name
}

func (e endpoint) urlOf(path *string) *string {
	address := strings.TrimSuffix(e.baseURL, "/")
	if path != nil {
		address += *path
	}
	return &address
}

// pathOf finds the path again in an address that a manager outside the cluster
// wrote, this one or an earlier one.
func (e endpoint) pathOf(address *string) *string {
	if address == nil {
		return nil
	}
	parsed, err := url.Parse(*address)
	if err != nil {
		return nil
	}
	path := parsed.Path
	if base, err := url.Parse(e.baseURL); err == nil {
		path = strings.TrimPrefix(path, strings.TrimSuffix(base.Path, "/"))
	}
	return &path
}
