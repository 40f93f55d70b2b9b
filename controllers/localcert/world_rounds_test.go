// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"crypto/x509"
	"fmt"
	"testing"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/cabundle"
)

// round lets everybody take one step, in an order.
func (w *world) round(order func([]func())) {
	w.t.Helper()
	steps := []func(){w.visit}
	for name := range w.certificates() {
		steps = append(steps, func() { w.sign(name) })
	}
	for _, volume := range []string{"config", "link", "local", "signing"} {
		steps = append(steps, func() { w.mount(volume) })
	}
	for name := range w.peers {
		steps = append(steps, func() { w.meet(name) })
	}
	order(steps)
	for _, step := range steps {
		step()
	}
}

// until lets rounds pass until something holds.
func (w *world) until(what string, order func([]func()), holds func() bool) {
	w.t.Helper()
	for range 60 {
		if holds() {
			return
		}
		w.round(order)
	}
	w.t.Fatalf("not within 60 rounds: %s; status %s", what, describeStatus(w.local()))
}

func describeStatus(l *v1alpha1.LocalCERT) string {
	out := fmt.Sprintf("authority %+v rotation %+v", l.Status.Authority.IssuerRef, l.Status.Rotation)
	for _, c := range l.Status.Conditions {
		out += fmt.Sprintf("\n  %s=%s/%s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	return out
}

// done tells that no rotation is under way, everything is from an issuer and peers know it.
func (w *world) done(issuer string) func() bool {
	return func() bool {
		l := w.local()
		return l.Status.Rotation == nil && l.Status.Authority.IssuerRef != nil && l.Status.Authority.IssuerRef.Name == issuer &&
			l.Status.Authority.Root != "" && w.relay.up && w.reason("TrustInSync") == "True/InSync" && len(parseBundle(w.t, l)) == 1
	}
}

func parseBundle(t *testing.T, l *v1alpha1.LocalCERT) []*x509.Certificate {
	t.Helper()
	bundle, err := cabundle.Parse(l.Status.Authority.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

func (w *world) reason(name string) string {
	for _, c := range w.local().Status.Conditions {
		if c.Type == name {
			return string(c.Status) + "/" + c.Reason
		}
	}
	return ""
}

// quiet fails when something is written though nothing changes.
func (w *world) quiet() {
	w.t.Helper()
	calm := 0
	for range 40 {
		before := len(w.writes)
		w.round(inOrder)
		if calm++; len(w.writes) != before {
			calm = 0
		}
		if calm == 5 {
			return
		}
	}
	w.t.Fatalf("the operator never stops writing: %v", w.writes[max(0, len(w.writes)-12):])
}

func inOrder([]func()) {}
