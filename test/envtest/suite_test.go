// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/certlink/certlink/api/v1alpha1"
)

const (
	repository = "../.."
	crdBases   = repository + "/config/crd/bases"
)

var (
	// environment is the one API server of all tests here, with the CRDs of
	// certlink and of cert-manager. Its user is a cluster administrator.
	environment *envtest.Environment
	// scheme knows the built-in kinds, ours and cert-manager's.
	scheme = newScheme()
	// kubeconfig is a file by which kubectl reaches the API server.
	kubeconfig string
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "envtest:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		return 0, errors.New("KUBEBUILDER_ASSETS is not set: run make envtest, or name a directory that holds etcd, kube-apiserver and kubectl")
	}
	foreign, err := certManagerCRDs()
	if err != nil {
		return 0, err
	}
	environment, err = startServer(assets, crdBases, foreign)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()

	dir, err := os.MkdirTemp("", "certlink-envtest-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	kubeconfig = filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(kubeconfig, environment.KubeConfig, 0o600); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// startServer starts an API server with the CRDs of some directories. The caller
// stops it.
func startServer(assets string, crds ...string) (*envtest.Environment, error) {
	env := &envtest.Environment{
		BinaryAssetsDirectory: assets,
		CRDDirectoryPaths:     crds,
		ErrorIfCRDPathMissing: true,
		// On a busy machine the API server takes its time.
		ControlPlaneStartTimeout: 3 * time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	config, err := env.Start()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the API server of %s: %w", assets, err), env.Stop())
	}
	// Tests are not users: nothing here is to wait for the client's own limits.
	config.QPS = -1
	return env, nil
}

// certManagerCRDs finds cert-manager's CRDs in its Go module, so that they are of
// the version that the operator was compiled with.
func certManagerCRDs() (string, error) {
	const module = "github.com/cert-manager/cert-manager"
	out, err := exec.CommandContext(context.Background(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("finding the module %s: %w", module, err)
	}
	return filepath.Join(string(bytes.TrimSpace(out)), "deploy", "crds"), nil
}

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, certmanagerv1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err) // two kinds of one name: no test could run
		}
	}
	return s
}

// server is the API server as one test sees it.
type server struct {
	// Config reaches it as a cluster administrator. A copy: tests may change it.
	Config *rest.Config
	// Client has no cache, sends fields strictly and records warnings.
	Client client.Client
	// Namespace is the test's own. It stays: nothing here deletes namespaces.
	Namespace string
	// Warnings that the API server sent to Client.
	Warnings *warnings
}

// start gives a test a namespace of its own on the API server.
func start(t *testing.T) *server {
	t.Helper()
	s := &server{Config: rest.CopyConfig(environment.Config), Warnings: &warnings{}}
	recording := rest.CopyConfig(s.Config)
	recording.WarningHandlerWithContext = s.Warnings
	c, err := client.New(recording, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatalf("making a client: %v", err)
	}
	s.Client = client.WithFieldValidation(c, metav1.FieldValidationStrict)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := s.Client.Create(t.Context(), namespace); err != nil {
		t.Fatalf("making a namespace: %v", err)
	}
	s.Namespace = namespace.Name
	return s
}

// warnings records what the API server warned of.
type warnings struct {
	mu   sync.Mutex
	list []string
}

// HandleWarningHeaderWithContext records a warning.
func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, text)
}

// all returns the warnings so far.
func (w *warnings) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.list)
}

// kubectl runs kubectl in the test's namespace and returns what it printed.
func (s *server) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	args = append([]string{"--kubeconfig", kubeconfig, "--namespace", s.Namespace}, args...)
	command := exec.CommandContext(t.Context(), environment.ControlPlane.KubectlPath, args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("kubectl %q: %v\n%s", args[4:], err, stderr.String())
	}
	if stderr.Len() > 0 {
		t.Errorf("kubectl %q warned:\n%s", args[4:], stderr.String())
	}
	return stdout.String()
}
