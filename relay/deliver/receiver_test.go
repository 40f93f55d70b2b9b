// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// receiver is a webhook that takes what its faults let through.
type receiver struct {
	*httptest.Server
	t      *testing.T
	mu     sync.Mutex
	faults []http.HandlerFunc // the first requests fare so
	after  bool               // a fault comes after the body was taken
	ids    []string
	keys   []string
	heads  []http.Header
	bodies [][]byte
}

func newReceiver(t *testing.T, faults ...http.HandlerFunc) *receiver {
	r := &receiver{t: t, faults: faults}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, req.Header.Get(HeaderID))
	var fault http.HandlerFunc
	if len(r.faults) > 0 {
		fault, r.faults = r.faults[0], r.faults[1:]
	}
	if fault == nil || r.after {
		r.ids = append(r.ids, idsOf(r.t, body)...)
		r.heads, r.bodies = append(r.heads, req.Header), append(r.bodies, body)
	}
	if fault != nil {
		fault(w, req)
	}
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.ids...)
}

// cut ends the connection without an answer.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
