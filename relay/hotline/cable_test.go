// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
)

// cable carries requests from a process to the other nation.
type cable struct {
	from *nation
	life *life
}

func (w *cable) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	to := w.from.world.nation(req.URL.Host)
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if err := do(w.from, w.life, "request", func() error { return nil }); err != nil {
		return nil, err
	}
	l := to.life()
	if l == nil || l.dead.Load() {
		return nil, errors.New("connection refused")
	}
	ctx := access.WithPeer(req.Context(), access.Peer{Name: w.from.name, TrustDomain: w.from.trustDomain, State: config.Active, Relay: true})
	r := httptest.NewRequestWithContext(ctx, req.Method, req.URL.Path, bytes.NewReader(body))
	r.Header = req.Header
	recorder := httptest.NewRecorder()
	l.engine.Handler().ServeHTTP(recorder, r)
	if l.dead.Load() {
		return nil, errors.New("connection reset")
	}
	if err := do(w.from, w.life, "response", func() error { return nil }); err != nil {
		return nil, err
	}
	if d := w.from.late.Load(); d > 0 {
		<-time.After(time.Duration(d))
	}
	return recorder.Result(), nil
}
