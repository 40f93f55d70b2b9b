// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
)

func TestTheNextGenerationOfOurRoot(t *testing.T) {
	three := int32(3)
	for name, tc := range map[string]struct {
		change func(*v1alpha1.LocalCERT)
		want   int32
		err    string
	}{
		"the_first":                    {func(*v1alpha1.LocalCERT) {}, 2, ""},
		"after_what_the_spec_says":     {func(l *v1alpha1.LocalCERT) { l.Spec.Authority.Generation = &three }, 4, ""},
		"after_one_that_age_began":     {func(l *v1alpha1.LocalCERT) { l.Status.Authority = v1alpha1.AuthorityStatus{Generation: 5} }, 6, ""},
		"after_one_that_was_withdrawn": {func(l *v1alpha1.LocalCERT) { l.Status.Authority = v1alpha1.AuthorityStatus{RequestedGeneration: 7} }, 8, ""},
		"an_issuer_of_yours":           {func(l *v1alpha1.LocalCERT) { l.Spec.IssuerRef = &v1alpha1.IssuerReference{Name: "vault"} }, 0, "replace the root there"},
		"one_is_under_way": {func(l *v1alpha1.LocalCERT) {
			l.Status.Rotation = &v1alpha1.RotationStatus{Step: v1alpha1.StepIssue, StartTime: &metav1.Time{Time: noon}}
		}, 0, "step Issue"},
	} {
		t.Run(name, func(t *testing.T) {
			l := local("alfa", time.Hour)
			tc.change(l)
			got, err := nextGeneration(l)
			expect(t, err, tc.err)
			if got != tc.want {
				t.Errorf("got %d", got)
			}
		})
	}
}

func TestRotateAsksOnceAndPrintsEachStep(t *testing.T) {
	o, s := setup(t)
	session := newSession(t, "", local("alfa", time.Hour))
	ctx := t.Context()
	read := func() *v1alpha1.LocalCERT {
		t.Helper()
		var l v1alpha1.LocalCERT
		if err := session.client.Get(ctx, client.ObjectKey{Namespace: "duty", Name: "alfa"}, &l); err != nil {
			t.Fatal(err)
		}
		return &l
	}
	mine, another := read(), read()
	generation, err := o.rotate(ctx, session.client, mine, false)
	if got := read().Spec.Authority.Generation; err != nil || generation != 2 || got == nil || *got != 2 {
		t.Fatalf("generation %d, %v", generation, err)
	}
	if _, err := o.rotate(ctx, session.client, another, false); err == nil {
		t.Error("two people who ask at once got two rotations")
	}
	again, step := make(chan time.Time), func(change func(*v1alpha1.LocalCERT)) {
		l := read()
		change(l)
		if err := session.client.Update(ctx, l); err != nil {
			t.Error(err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- o.followRotation(ctx, session.client, read(), generation, again) }()
	again <- noon // it has looked once
	step(func(l *v1alpha1.LocalCERT) {
		l.Status.Rotation = &v1alpha1.RotationStatus{Step: v1alpha1.StepDistribute, WaitingFor: "peer bravo must accept our new root"}
	})
	again <- noon
	again <- noon
	step(func(l *v1alpha1.LocalCERT) {
		l.Status.Rotation, l.Status.Authority = nil, v1alpha1.AuthorityStatus{Generation: 2, Root: strings.Repeat("a", 64)}
	})
	select {
	case again <- noon:
		err = <-done
	case err = <-done: // the look before was late enough to see the end
	}
	if err != nil {
		t.Error(err)
	}
	for _, want := range []string{"is 2: the operator begins", "Distribute: peer bravo must accept", "done: our root is aaaaaaaaaaaaaaaa"} {
		if strings.Count(s.out.String(), want) != 1 {
			t.Errorf("want %q once in:\n%s", want, s.out)
		}
	}
}

func TestARotationThatTakesLongerThanOneWaitsIsUnwell(t *testing.T) {
	o, _ := setup(t)
	session := newSession(t, "", local("alfa", time.Hour))
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if err := o.followRotation(ctx, session.client, local("alfa", time.Hour), 2, nil); !errors.Is(err, ErrUnwell) {
		t.Errorf("got %v", err)
	}
}

func TestADryRunOfARotationChangesNothing(t *testing.T) {
	o, s := setup(t)
	session := newSession(t, "", local("alfa", time.Hour))
	l := local("alfa", time.Hour)
	if err := session.client.Get(t.Context(), client.ObjectKeyFromObject(l), l); err != nil {
		t.Fatal(err)
	}
	if _, err := o.rotate(t.Context(), session.client, l, true); err != nil {
		t.Fatal(err)
	}
	if err := session.client.Get(t.Context(), client.ObjectKeyFromObject(l), l); err != nil || l.Spec.Authority.Generation != nil || !strings.Contains(s.out.String(), "Would raise") {
		t.Errorf("%v, %+v, %s", err, l.Spec.Authority, s.out)
	}
}
