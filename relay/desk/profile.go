// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"runtime/pprof"
	"sync/atomic"
	"time"
)

// PathProfile: GET answers a profile of the relay's process in the format of pprof, for
// the roles desk and operator: cpu (over ?seconds=N, 1 to MaxProfileSeconds, default 10),
// heap, allocs or goroutine. It holds names of functions and counts, no data. One CPU
// profile at a time; 429 else.
const PathProfile = "/debug/profile/{kind}"

// MaxProfileSeconds is the longest CPU profile. The local port answers within it.
const MaxProfileSeconds = 30

const defaultProfileSeconds = 10

// profiler makes one CPU profile at a time.
type profiler struct{ busy atomic.Bool }

func (p *profiler) serve(h *handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		profile, err := p.profile(r)
		if err != nil {
			h.refuse(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(profile)
	})
}

func (p *profiler) profile(r *http.Request) ([]byte, error) {
	var out bytes.Buffer
	switch kind := r.PathValue("kind"); kind {
	case "cpu":
		return p.cpu(r)
	case "heap":
		runtime.GC() // as it is now, not as it was after the last collection
		fallthrough
	case "allocs", "goroutine":
		if err := pprof.Lookup(kind).WriteTo(&out, 0); err != nil {
			return nil, fmt.Errorf("writing the profile: %w", err)
		}
		return out.Bytes(), nil
	default:
		return nil, &InvalidError{Faults: []Fault{{Field: "kind", Reason: "must be cpu, heap, allocs or goroutine"}}}
	}
}

func (p *profiler) cpu(r *http.Request) ([]byte, error) {
	var faults InvalidError
	seconds := faults.number(r.URL.Query(), "seconds", defaultProfileSeconds, MaxProfileSeconds)
	if len(faults.Faults) > 0 {
		return nil, &faults
	}
	if !p.busy.CompareAndSwap(false, true) {
		return nil, fmt.Errorf("a profile is being made: try again when it has ended: %w", ErrBusy)
	}
	defer p.busy.Store(false)
	var out bytes.Buffer
	if err := pprof.StartCPUProfile(&out); err != nil {
		return nil, fmt.Errorf("starting the profile: %w", err)
	}
	timer := time.NewTimer(time.Duration(seconds) * time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
	pprof.StopCPUProfile()
	return out.Bytes(), r.Context().Err()
}
