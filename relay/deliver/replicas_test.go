// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/lease"
	"github.com/certlink/certlink/relay/report"
)

// TestEveryReplicaReportsWhatTheOneThatDeliversSees: whoever reads the report gets any of them.
func TestEveryReplicaReportsWhatTheOneThatDeliversSees(t *testing.T) {
	answer := atomic.Int32{}
	answer.Store(http.StatusForbidden)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(answer.Load())) }))
	t.Cleanup(server.Close)
	shared := newWorld(t)
	conf := &config.Config{Imports: []config.Import{{Name: "bravo", Peer: "bravo", Collection: "x", Deliveries: []config.Delivery{hook(server.URL)}}}}
	begin := func() (e *Engine, end func()) {
		sharer, err := lease.New(lease.Config{Store: shared.store, Time: 300 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		e, err = New(Config{
			Store: shared.store, Collection: shared.cfg.Collection, Poll: 5 * time.Millisecond, Lead: sharer.Do,
			Pause: func(int) time.Duration { return 5 * time.Millisecond },
		})
		if err != nil {
			t.Fatal(err)
		}
		e.Apply(conf)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = e.Run(ctx)
		}()
		stop := func() { cancel(); <-ended }
		t.Cleanup(stop)
		return e, stop
	}
	seen := func(e *Engine) (d report.Delivery) {
		list, err := e.ReportDeliveries(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 1 {
			d = list[0]
		}
		return d
	}
	first, end := begin()
	eventually(t, "the first replica delivers", func() bool { return seen(first).Name != "" })
	second, _ := begin()
	shared.put(0, 3)
	eventually(t, "both report the dead letters", func() bool {
		second.Noted() // as the store tells it
		return seen(first).Dead == 3 && seen(second) == seen(first)
	})
	answer.Store(http.StatusOK)
	end()
	shared.put(3, 5)
	eventually(t, "the second goes on, and reports for itself", func() bool { d := seen(second); return d.Dead == 3 && d.Delivered == 2 })
}
