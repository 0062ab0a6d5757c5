package capi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

func freePort() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(listener.Close()).To(Succeed()) }()
	address, ok := listener.Addr().(*net.TCPAddr)
	Expect(ok).To(BeTrue())
	return address.Port
}

func applyManifest(path string) {
	GinkgoHelper()
	raw, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return
		}
		Expect(err).NotTo(HaveOccurred())
		if len(object.Object) > 0 {
			Expect(k8s.Create(context.Background(), object)).To(Succeed())
		}
	}
}

// installCRDs does it as kubectl apply would. envtest's own way points every
// conversion at a server of its choice, and here conversion is what is tested.
func installCRDs() {
	GinkgoHelper()
	options := envtest.CRDInstallOptions{
		Paths:              []string{manifests("crd")},
		CRDs:               testInfrastructure(),
		ErrorIfPathMissing: true,
		MaxTime:            30 * time.Second,
		PollInterval:       50 * time.Millisecond,
	}
	Expect(envtest.ReadCRDFiles(&options)).To(Succeed())
	// As an administrator does who has clients of old versions.
	for _, crd := range options.CRDs {
		for i := range crd.Spec.Versions {
			crd.Spec.Versions[i].Served = true
		}
	}
	Expect(envtest.CreateCRDs(apiServer.Config, options.CRDs)).To(Succeed())
	Expect(envtest.WaitForCRDs(apiServer.Config, options.CRDs, options)).To(Succeed())
}

// testInfrastructure are the CRDs of an infrastructure provider that never gets
// anything done: enough for Cluster API's own part of the way.
func testInfrastructure() []*apiextensionsv1.CustomResourceDefinition {
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, kind := range []string{"TestCluster", "TestMachine", "TestMachineTemplate"} {
		preserve, singular := true, strings.ToLower(kind)
		crds = append(crds, &apiextensionsv1.CustomResourceDefinition{
			ObjectMeta: metav1.ObjectMeta{
				Name:   singular + "s.infrastructure.cluster.x-k8s.io",
				Labels: map[string]string{"cluster.x-k8s.io/v1beta2": "v1alpha1"},
			},
			Spec: apiextensionsv1.CustomResourceDefinitionSpec{
				Group: "infrastructure.cluster.x-k8s.io",
				Scope: apiextensionsv1.NamespaceScoped,
				Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: kind, ListKind: kind + "List", Plural: singular + "s", Singular: singular},
				Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
					Name: "v1alpha1", Served: true, Storage: true,
					Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
						Type: "object", XPreserveUnknownFields: &preserve,
					}},
				}},
			},
		})
	}
	return crds
}

func newNamespace(ctx context.Context) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"}}
	Expect(k8s.Create(ctx, namespace)).To(Succeed())
	return namespace.Name
}

func newCluster(ctx context.Context, namespace string) *clusterv1.Cluster {
	GinkgoHelper()
	cluster := &clusterv1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"},
		Spec: clusterv1.ClusterSpec{
			ControlPlaneRef: clusterv1.ContractVersionedObjectReference{
				APIGroup: "controlplane.cluster.x-k8s.io", Kind: "KubeadmControlPlane", Name: "shop",
			},
		},
	}
	Expect(k8s.Create(ctx, cluster)).To(Succeed())
	return cluster
}

func newMachineDeployment(namespace string) *clusterv1.MachineDeployment {
	replicas := int32(1)
	return &clusterv1.MachineDeployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop-linux"},
		Spec: clusterv1.MachineDeploymentSpec{
			ClusterName: "shop",
			Replicas:    &replicas,
			Template: clusterv1.MachineTemplateSpec{Spec: clusterv1.MachineSpec{
				ClusterName: "shop",
				Version:     "1.36.3",
				Bootstrap: clusterv1.Bootstrap{ConfigRef: clusterv1.ContractVersionedObjectReference{
					APIGroup: "bootstrap.cluster.x-k8s.io", Kind: "KubeadmConfigTemplate", Name: "shop-linux",
				}},
				InfrastructureRef: clusterv1.ContractVersionedObjectReference{
					APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "TestMachineTemplate", Name: "shop-linux",
				},
			}},
		},
	}
}

func reread[T client.Object](ctx context.Context, object T) T {
	GinkgoHelper()
	Expect(k8s.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
	return object
}
