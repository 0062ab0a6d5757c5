package kubeapi

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"
	bootstrapsecrets "k8s.io/cluster-bootstrap/util/secrets"
	bootstraptokens "k8s.io/cluster-bootstrap/util/tokens"
)

// identity is who asks.
type identity struct {
	user   string
	groups []string
}

const (
	anonymous         = "system:anonymous"
	groupBootstrapper = "system:bootstrappers"
	groupNodes        = "system:nodes"
)

// authenticate takes a client certificate that TLS has verified, or a bootstrap
// token. A request with neither is anonymous.
func (s *Server) authenticate(r *http.Request) (identity, error) {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		leaf := r.TLS.VerifiedChains[0][0]
		return identity{user: leaf.Subject.CommonName, groups: leaf.Subject.Organization}, nil
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return identity{user: anonymous}, nil
	}
	if err := s.Available(); err != nil {
		return identity{}, apierrors.NewServiceUnavailable(err.Error())
	}
	id, secret, err := bootstraptokens.ParseToken(token)
	if err != nil {
		return identity{}, apierrors.NewUnauthorized("Unauthorized")
	}
	obj, err := s.Store.Get(Secrets, "kube-system", bootstrapapi.BootstrapTokenSecretPrefix+id)
	if err != nil {
		return identity{}, apierrors.NewUnauthorized("Unauthorized")
	}
	stored := obj.(*corev1.Secret)
	switch {
	case stored.Type != bootstrapapi.SecretTypeBootstrapToken,
		subtle.ConstantTimeCompare([]byte(bootstrapsecrets.GetData(stored, bootstrapapi.BootstrapTokenSecretKey)), []byte(secret)) != 1,
		bootstrapsecrets.GetData(stored, bootstrapapi.BootstrapTokenUsageAuthentication) != "true",
		bootstrapsecrets.HasExpired(stored, s.Clock.Now()):
		return identity{}, apierrors.NewUnauthorized("Unauthorized")
	}
	groups, err := bootstrapsecrets.GetGroups(stored)
	if err != nil {
		return identity{}, apierrors.NewUnauthorized("Unauthorized")
	}
	return identity{user: bootstrapapi.BootstrapUserPrefix + id, groups: append(groups, groupBootstrapper)}, nil
}

// authorize stands in for RBAC: whoever has a certificate of the cluster's CA may
// do anything, the others what kubeadm join does before it has one.
func (id identity) authorize(method string, segments []string) error {
	path := strings.Join(segments, "/")
	if path == "api/v1/namespaces/kube-public/configmaps/cluster-info" && method == http.MethodGet {
		return nil
	}
	if id.user == anonymous {
		return forbidden(id, method, path)
	}
	if !slices.Contains(id.groups, groupBootstrapper) {
		return nil
	}
	const csr = "apis/certificates.k8s.io/v1/certificatesigningrequests"
	allowed := method == http.MethodGet && (strings.HasPrefix(path, "api/v1/namespaces/kube-system/configmaps/kube") ||
		strings.HasPrefix(path, "api/v1/nodes/") || strings.HasPrefix(path, csr) || path == "api" || path == "apis") ||
		method == http.MethodPost && path == csr
	if !allowed {
		return forbidden(id, method, path)
	}
	return nil
}

func forbidden(id identity, method, path string) error {
	return apierrors.NewForbidden(schema.GroupResource{}, "", fmt.Errorf("user %q cannot %s path \"/%s\"", id.user, strings.ToLower(method), path))
}
