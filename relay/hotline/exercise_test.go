// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"errors"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/exercise"
	"github.com/certlink/certlink/relay/store"
)

func TestExercisesAndRealTrafficDoNotMix(t *testing.T) {
	bubble(t, "neither_here_nor_at_the_peer", func(t *testing.T, w *world) {
		drill := request("", "Scans")
		drill.Exercise = "spring"
		sent := w.alfa.send(drill)
		actual := w.alfa.send(request("", "Real"))
		if !strings.HasPrefix(sent.Subject, exercise.Prefix) || sent.RSIT != "test:test" || actual.Exercise != "" || strings.HasPrefix(actual.Subject, exercise.Prefix) {
			t.Errorf("sent %+v and %+v", sent, actual)
		}
		w.quiet()
		refused := func(n *nation, field string, r desk.SendRequest) {
			t.Helper()
			r.Hotline = n.config.Hotlines[0].Name
			_, _, err := n.engine().Send(t.Context(), r)
			invalid, ok := errors.AsType[*desk.InvalidError](err)
			if !ok || invalid.Faults[0].Field != field {
				t.Errorf("%s: error is %v, want %s", n.name, err, field)
			}
		}
		with := func(set func(*desk.SendRequest)) desk.SendRequest {
			r := request("", "Answer")
			set(&r)
			return r
		}
		refused(w.alfa, "exercise", with(func(r *desk.SendRequest) { r.Conversation = sent.Conversation }))
		refused(w.alfa, "conversation", with(func(r *desk.SendRequest) { r.Conversation, r.Exercise = actual.Conversation, "spring" }))
		refused(w.alfa, "subject", with(func(r *desk.SendRequest) { r.Subject = exercise.Prefix }))
		refused(w.bravo, "exercise", with(func(r *desk.SendRequest) { r.InReplyTo = sent.ID }))
		refused(w.bravo, "conversation", with(func(r *desk.SendRequest) { r.InReplyTo, r.Exercise = actual.ID, "spring" }))
		refused(w.bravo, "exercise", with(func(r *desk.SendRequest) { r.InReplyTo, r.Exercise = sent.ID, "other" }))
		answer := w.bravo.send(with(func(r *desk.SendRequest) { r.InReplyTo, r.Exercise = sent.ID, "spring" }))
		ack, err := w.bravo.engine().Acknowledge(t.Context(), "alfa.example", sent.ID, desk.AckRequest{Officer: "Officer Two"})
		if err != nil || ack.Exercise != "spring" || ack.RSIT != "test:test" || answer.Exercise != "spring" {
			t.Errorf("acknowledged by %+v, %v", ack, err)
		}
		w.quiet()
		for id, want := range map[string]string{sent.ID: "spring", actual.ID: ""} {
			m, err := w.bravo.engine().Get(t.Context(), store.In, "alfa.example", id)
			if err != nil || m.Exercise != want || m.Suspicious != "" {
				t.Errorf("bravo shows %+v, %v", m, err)
			}
		}
	})
	bubble(t, "a_test_without_a_name_is_suspicious", func(t *testing.T, w *world) {
		r := request("", "Hello")
		r.RSIT = "test:test"
		sent := w.alfa.send(r)
		w.quiet()
		m, err := w.bravo.engine().Get(t.Context(), store.In, "alfa.example", sent.ID)
		if err != nil || m.Suspicious == "" || strings.HasPrefix(m.Subject, exercise.Prefix) {
			t.Errorf("bravo shows %+v, %v", m, err)
		}
	})
}
