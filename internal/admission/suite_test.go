package admission_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/admission"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestAdmission(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Admission")
}

var (
	env        *testenv.Env
	kubeconfig string
)

// The world that every spec finds and none changes: the network lan, images for
// v1.35.0, v1.36.3 and v1.37.0, of Windows for v1.35.0 alone, and one host of 16 processors, 64Gi and a volume
// of 1Ti.
var _ = BeforeSuite(func(ctx SpecContext) {
	env = testenv.Start(GinkgoT(), testenv.WithWebhooks(GinkgoT()))
	env.RunManager(GinkgoT(), func(_ context.Context, mgr manager.Manager) error { return admission.SetupWebhooks(mgr) })
	keepNamespaces(ctx)
	host := testenv.NewHyperVHost("hv1")
	inventory := host.Status
	env.Create(ctx, testenv.NewLogicalNetwork("lan"), host,
		testenv.NewVMImage("linux-135", "v1.35.0"), testenv.NewVMImage("linux-136", "v1.36.3"), testenv.NewVMImage("linux-137", "v1.37.0"),
		testenv.NewVMImage("windows-135", "v1.35.0", func(i *capstanv1.VMImage) { i.Spec.OS, i.Spec.Size = capstanv1.OSWindows, resource.MustParse("48Gi") }))
	testenv.UpdateStatus(ctx, env, host, func(h *capstanv1.HyperVHost) { h.Status = inventory })
	kubeconfig = writeKubeconfig()
})

func writeKubeconfig() string {
	config := clientcmdapi.NewConfig()
	config.Clusters["env"] = &clientcmdapi.Cluster{Server: env.Config.Host, CertificateAuthorityData: env.Config.CAData}
	config.AuthInfos["env"] = &clientcmdapi.AuthInfo{ClientCertificateData: env.Config.CertData, ClientKeyData: env.Config.KeyData}
	config.Contexts["env"] = &clientcmdapi.Context{Cluster: "env", AuthInfo: "env"}
	config.CurrentContext = "env"
	dir, err := os.MkdirTemp("", "capstan-admission-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	path := filepath.Join(dir, "kubeconfig")
	Expect(clientcmd.WriteToFile(*config, path)).To(Succeed())
	return path
}

// refusal is the one thing that is wrong with an object: where, and what to do.
type refusal struct{ field, says string }

// refuse matches an error that names the field, and says the fix.
func refuse(want refusal) gomegatypes.GomegaMatcher {
	return WithTransform(func(err error) []metav1.StatusCause {
		var status apierrors.APIStatus
		if !apierrors.IsInvalid(err) || !errors.As(err, &status) {
			return nil
		}
		return status.Status().Details.Causes
	}, ContainElement(And(HaveField("Field", want.field), HaveField("Message", ContainSubstring(want.says)))))
}

// tryCreate creates without keeping.
func tryCreate(ctx context.Context, obj client.Object) error {
	return env.Client.Create(ctx, obj, client.DryRunAll)
}
