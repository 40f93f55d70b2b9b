// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers"
	"github.com/certlink/certlink/internal/statuscheck"
)

// patience is how long a test waits for what must happen. It is long because
// machines are busy; nothing waits that long when all is well.
const patience = 60 * time.Second

// eventually repeats a check until it succeeds.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting until %s: %v", what, err)
		}
		pause(t, 50*time.Millisecond)
	}
}

// pause of the polling.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
		t.Fatal("the test was stopped")
	case <-time.After(d):
	}
}

// operator runs the controllers for one namespace.
type operator struct {
	writes *writes
	stop   func()
}

// runOperator runs the controllers, with the relays of the namespace at an
// address, until the test ends or stop is called.
func runOperator(t *testing.T, s *server, relayAddress string) *operator {
	t.Helper()
	cfg := rest.CopyConfig(s.Config)
	w := &writes{}
	cfg.Wrap(w.count)
	skip := true
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:     controllers.Scheme(),
		Cache:      controllers.CacheOptions([]string{s.Namespace}),
		Client:     controllers.ClientOptions(),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: ctrlconfig.Controller{SkipNameValidation: &skip},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := controllers.Register(ctx, mgr, controllers.Options{
		RelayImage:        "relay.example/certlink:test",
		OperatorNamespace: "certlink-system",
		Instance:          "operator-under-test",
		Address:           func(*v1alpha1.LocalCERT) string { return relayAddress },
		Metrics:           prometheus.NewRegistry(),
	}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("the operator ended with: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return &operator{writes: w, stop: stop}
}

// writes records the requests that change something.
type writes struct {
	mu   sync.Mutex
	list []string
}

func (w *writes) count(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		if req.Method != http.MethodGet {
			w.mu.Lock()
			w.list = append(w.list, req.Method+" "+req.URL.Path)
			w.mu.Unlock()
		}
		return next.RoundTrip(req)
	})
}

func (w *writes) since(n int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.list[min(n, len(w.list)):len(w.list):len(w.list)]
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// observed are the parts of an object that every test of a status reads.
func observed(o client.Object) (kind string, generation int64, conditions []metav1.Condition) {
	switch o := o.(type) {
	case *v1alpha1.LocalCERT:
		return "LocalCERT", o.Status.ObservedGeneration, o.Status.Conditions
	case *v1alpha1.PeerCERT:
		return "PeerCERT", o.Status.ObservedGeneration, o.Status.Conditions
	case *v1alpha1.SharedFeed:
		return "SharedFeed", o.Status.ObservedGeneration, o.Status.Conditions
	case *v1alpha1.SharedService:
		return "SharedService", o.Status.ObservedGeneration, o.Status.Conditions
	case *v1alpha1.Hotline:
		return "Hotline", o.Status.ObservedGeneration, o.Status.Conditions
	}
	return "", 0, nil
}

// expect waits until conditions of an object are as wanted, each written as
// TYPE=STATUS/REASON, TYPE=STATUS, or !TYPE for one that must not be there. The
// status must be legal all the while.
func (s *server) expect(t *testing.T, o client.Object, wanted ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%T %q has %v", o, o.GetName(), wanted), func() error {
		if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		kind, generation, conditions := observed(o)
		if len(conditions) == 0 {
			return errors.New("it has no conditions yet")
		}
		if err := statuscheck.Check(kind, o.GetGeneration(), generation, conditions); err != nil {
			t.Errorf("the status of %s %q is not legal: %v", kind, o.GetName(), err)
		}
		return compareConditions(conditions, wanted)
	})
}

func compareConditions(conditions []metav1.Condition, wanted []string) error {
	var errs []error
	for _, want := range wanted {
		if name, absent := strings.CutPrefix(want, "!"); absent {
			if c := meta.FindStatusCondition(conditions, name); c != nil {
				errs = append(errs, fmt.Errorf("%s is there: %s", name, c.Message))
			}
			continue
		}
		name, value, _ := strings.Cut(want, "=")
		c := meta.FindStatusCondition(conditions, name)
		if c == nil {
			errs = append(errs, fmt.Errorf("%s is missing", name))
			continue
		}
		if got := string(c.Status) + "/" + c.Reason; got != value && string(c.Status) != value {
			errs = append(errs, fmt.Errorf("%s is %s: %s", name, got, c.Message))
		}
	}
	return errors.Join(errs...)
}

// message of a condition.
func message(o client.Object, condition string) string {
	_, _, conditions := observed(o)
	if c := meta.FindStatusCondition(conditions, condition); c != nil {
		return c.Message
	}
	return ""
}
