// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/exercise"
	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/lease"
	"github.com/certlink/certlink/relay/linecheck"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// buildLineChecks builds what tests the paths of hotlines: on the connections of the
// hotline, and as entries of its journal.
func (r *relay) buildLineChecks(shared *lease.Sharer) (err error) {
	r.lineChecks, err = linecheck.New(linecheck.Config{
		Store:    r.store,
		Change:   r.hotline.Change,
		Act:      actEntry,
		Identity: func() linecheck.Identity { return r.identity.Current() },
		Paths:    r.pool.Paths,
		Client:   func(at link.Path) *http.Client { return r.pool.PathClient(at, link.Hotline) },
		Allowed:  r.offers.Allowed,
		Others: map[string]func(context.Context, string, []byte) ([]byte, error){
			exercise.PathReport: func(ctx context.Context, peer string, signed []byte) ([]byte, error) {
				return r.exercises.TakeReport(ctx, peer, signed)
			},
		},
		Lead:     shared.Do,
		Log:      r.log,
		Changed:  r.changed,
		Registry: r.metrics,
	})
	return err
}

// actEntry is an act as an entry of the journal.
func actEntry(name string, at time.Time, details map[string]string) (*store.JournalEntry, error) {
	a := hotline.Act{Name: name, At: at, Details: details}
	return a.Entry()
}

// buildExercises builds what runs drills over hotlines.
func (r *relay) buildExercises(shared *lease.Sharer) (err error) {
	r.exercises, err = exercise.New(exercise.Config{
		Store: r.store, May: r.hotline.MayDrill, Change: r.hotline.Change, Send: r.hotline.Send,
		Act: func(name, by string, at time.Time, details map[string]string) (*store.JournalEntry, error) {
			a := hotline.Act{Name: name, At: at, By: by, Details: details}
			return a.Entry()
		},
		Identity: func() receipt.Signer { return r.identity.Current() }, Verifier: func() receipt.Verifier { return r.identity.Current() },
		Post: r.lineChecks.Post, Lead: shared.Do, Log: r.log,
	})
	return err
}

// serveLineChecks adds the paths of line checks to those of the hotline.
func (r *relay) serveLineChecks(mux *http.ServeMux) {
	h := r.lineChecks.Handler()
	for _, path := range []string{linecheck.Path, linecheck.PathAvailability, linecheck.PathCountersignature, exercise.PathReport} {
		mux.Handle(path, h)
	}
}

// withLineChecks completes the report of hotlines.
func (r *relay) withLineChecks(hotlines func(context.Context) ([]report.Hotline, error)) func(context.Context) ([]report.Hotline, error) {
	return func(ctx context.Context) ([]report.Hotline, error) {
		list, err := hotlines(ctx)
		if err == nil {
			err = r.lineChecks.Complete(ctx, list)
		}
		return list, err
	}
}
