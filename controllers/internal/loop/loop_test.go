// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/statuscheck"
)

var (
	noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	key  = types.NamespacedName{Namespace: "cert", Name: "bravo"}
)

// world is a cluster with one PeerCERT, and counts the status writes.
type world struct {
	Base
	writes int
	gone   []types.NamespacedName
}

func setup(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, eventsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.PeerCERT{}).
		WithInterceptorFuncs(interceptor.Funcs{SubResourceApply: func(ctx context.Context, c client.Client, sub string, ac runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
			w.writes++
			return c.SubResource(sub).Apply(ctx, ac, opts...)
		}}).Build()
	w.Base = Base{Client: c, Direct: c, Instance: "operator-0", Now: func() time.Time { return noon }}
	return w
}

func peer() *v1alpha1.PeerCERT {
	return &v1alpha1.PeerCERT{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Generation: 1}}
}

// run reconciles the PeerCERT with an outcome, and returns it as it is then.
func (w *world) run(t *testing.T, outcome Outcome, syncErr error) (*v1alpha1.PeerCERT, ctrl.Result, error) {
	t.Helper()
	result, err := Run(t.Context(), w.Base, ctrl.Request{NamespacedName: key}, For[*v1alpha1.PeerCERT]{
		Owner: "test",
		New:   func() *v1alpha1.PeerCERT { return &v1alpha1.PeerCERT{} },
		Status: func(p *v1alpha1.PeerCERT) Status {
			return Status{Conditions: &p.Status.Conditions, ObservedGeneration: &p.Status.ObservedGeneration}
		},
		Sync: func(_ context.Context, _ *v1alpha1.PeerCERT, edit *status.Editor) (Outcome, error) {
			for _, pending := range []string{"Connected", "Redundant", "PeerAccepted", "TrustInSync"} {
				edit.Put(pending, status.Fact{Reason: "Pending", Message: "wait"})
			}
			edit.Put("Suspended", status.Fact{Status: "False", Reason: "Active", Message: "nothing is held back"})
			return outcome, syncErr
		},
		Gone: func(k types.NamespacedName) { w.gone = append(w.gone, k) },
	})
	p := &v1alpha1.PeerCERT{}
	if getErr := w.Client.Get(t.Context(), key, p); client.IgnoreNotFound(getErr) != nil {
		t.Fatal(getErr)
	}
	return p, result, err
}

var done = Outcome{Verdict: status.Verdict{Fate: status.Done, Reason: "Reconciled", Message: "done"}, Again: time.Minute}

func TestRun(t *testing.T) {
	t.Run("writes_a_status_once", func(t *testing.T) {
		w := setup(t, peer())
		p, result, err := w.run(t, done, nil)
		if err != nil || result.RequeueAfter != time.Minute {
			t.Errorf("got %v, %v", result, err)
		}
		if err := statuscheck.Check("PeerCERT", 1, p.Status.ObservedGeneration, p.Status.Conditions); err != nil {
			t.Error(err)
		}
		w.run(t, done, nil)
		if w.writes != 1 {
			t.Errorf("the same status was written %d times", w.writes)
		}
	})
	t.Run("tells_what_changed_once", func(t *testing.T) {
		w := setup(t, peer())
		w.run(t, done, nil)
		w.run(t, done, nil)
		var list eventsv1.EventList
		if err := w.Client.List(t.Context(), &list); err != nil {
			t.Fatal(err)
		}
		reasons := map[string]string{}
		for _, e := range list.Items {
			reasons[e.Reason] = e.Type + " " + e.Regarding.Kind + " " + e.ReportingInstance
		}
		want := "Normal PeerCERT operator-0"
		if len(list.Items) != 2 || reasons["Reconciled"] != want || reasons["Active"] == "" {
			t.Errorf("got %v", reasons)
		}
	})
	t.Run("an_object_that_is_gone_is_let_go", func(t *testing.T) {
		w := setup(t)
		if _, _, err := w.run(t, done, nil); err != nil || len(w.gone) != 1 {
			t.Errorf("got %v, gone %v", err, w.gone)
		}
	})
	t.Run("an_error_keeps_what_was_and_is_retried", func(t *testing.T) {
		w := setup(t, peer())
		w.run(t, done, nil)
		p, _, err := w.run(t, Outcome{}, errors.New("the network is down"))
		if err == nil || !meta.IsStatusConditionTrue(p.Status.Conditions, "Ready") || w.writes != 1 {
			t.Errorf("got %v, %d writes, %v", err, w.writes, p.Status.Conditions)
		}
	})
	t.Run("an_error_on_the_first_visit_is_Unknown", func(t *testing.T) {
		w := setup(t, peer())
		p, _, err := w.run(t, Outcome{}, errors.New("the network is down"))
		c := meta.FindStatusCondition(p.Status.Conditions, "Ready")
		if err == nil || c == nil || c.Status != metav1.ConditionUnknown || p.Status.ObservedGeneration != 0 {
			t.Errorf("got %v, %+v", err, p.Status)
		}
	})
	t.Run("a_refusal_is_shown", func(t *testing.T) {
		w := setup(t, peer())
		forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "alfa-relay", errors.New("quota"))
		p, _, err := w.run(t, Outcome{}, fmt.Errorf("applying: %w", forbidden))
		c := meta.FindStatusCondition(p.Status.Conditions, "Ready")
		if err == nil || c.Reason != v1alpha1.ReasonApplyRefused || c.Status != metav1.ConditionFalse {
			t.Errorf("got %v, %+v", err, c)
		}
	})
	t.Run("a_namespace_that_goes_is_not_a_refusal", func(t *testing.T) {
		w := setup(t, peer())
		w.run(t, done, nil)
		leaving := &apierrors.StatusError{ErrStatus: metav1.Status{
			Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden,
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}},
		}}
		p, _, err := w.run(t, Outcome{}, errors.Join(leaving))
		if err == nil || !meta.IsStatusConditionTrue(p.Status.Conditions, "Ready") {
			t.Errorf("got %v, %v", err, p.Status.Conditions)
		}
	})
}
