// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/report"
)

// maxRevision is the longest revision that a request may name.
const maxRevision = 64

// ServeHTTP answers GET /report. With ?since=REVISION it waits until the revision
// differs, and answers 304 after report.MaxWait.
func (r *Reporter) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	since := req.URL.Query().Get("since")
	if len(since) > maxRevision {
		problem.Write(w, http.StatusBadRequest, "since is not a revision of ours")
		return
	}
	now, changed := r.get()
	if since != "" && (now.Revision == since || now.Revision == "") {
		var ok bool
		if now, ok = r.wait(w, req, since, changed); !ok {
			return
		}
	}
	if now.Revision == "" {
		w.Header().Set("Retry-After", "1")
		problem.Write(w, http.StatusServiceUnavailable, "the relay has just started: there is no report yet")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// An error here means that the client is gone: there is nobody to tell.
	_ = json.NewEncoder(w).Encode(now)
}

// wait returns the report once its revision differs. Otherwise it has answered.
func (r *Reporter) wait(w http.ResponseWriter, req *http.Request, since string, changed <-chan struct{}) (report.Report, bool) {
	select {
	case r.waiters <- struct{}{}:
		defer func() { <-r.waiters }()
	default:
		w.Header().Set("Retry-After", "5")
		problem.Write(w, http.StatusServiceUnavailable, "too many clients wait for a change")
		return report.Report{}, false
	}
	limit := time.NewTimer(report.MaxWait)
	defer limit.Stop()
	for {
		select {
		case <-changed:
		case <-req.Context().Done():
			return report.Report{}, false
		case <-r.ended:
			w.WriteHeader(http.StatusNotModified)
			return report.Report{}, false
		case <-limit.C:
			w.WriteHeader(http.StatusNotModified)
			return report.Report{}, false
		}
		var now report.Report
		if now, changed = r.get(); now.Revision != since {
			return now, true
		}
	}
}

// get returns the present report and a channel that is closed when it changes.
func (r *Reporter) get() (report.Report, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current, r.next
}
