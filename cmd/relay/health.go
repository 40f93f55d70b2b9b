// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// unready is what /readyz says before the relay runs, and when it stops.
const unready = "starting or stopping"

// health serves liveness, readiness and metrics over plain HTTP. It tells no
// secrets, and needs neither peers, the operator nor the database to be well.
type health struct {
	listener net.Listener
	metrics  *prometheus.Registry
	log      *slog.Logger
	open     prometheus.Gauge
	mend     prometheus.Gauge
	refusals prometheus.Counter

	mu      sync.Mutex // guards what follows
	why     string     // the relay is not ready; empty when it is
	config  string     // why the configuration file is not used, while the database is waited for
	waiting time.Time  // since when the database is waited for
}

func newHealth(listener net.Listener, metrics *prometheus.Registry, log *slog.Logger) *health {
	h := &health{
		listener: listener, metrics: metrics, log: log, why: unready,
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "certlink_relay_store_open", Help: "1 once the relay has opened its store, 0 while it waits for the database at its start.",
		}),
		mend: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "certlink_relay_store_needs_mending", Help: "1 while the database refuses the relay at its start for a reason that waiting alone does not mend; /readyz and the log say which.",
		}),
		refusals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "certlink_relay_store_refusals_total", Help: "Attempts to open the database at the start of the relay that failed: it was away, or refused.",
		}),
	}
	metrics.MustRegister(h.open, h.mend, h.refusals)
	return h
}

// refused notes that the database did not take us, and what somebody must do about it, "" if it may pass.
func (h *health) refused(err error, remedy string) {
	h.refusals.Inc()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting.IsZero() {
		h.waiting = time.Now()
	}
	h.why = "waiting for the database since " + h.waiting.UTC().Format(time.RFC3339) + ": " + oneLine(err.Error())
	h.mend.Set(0)
	if remedy != "" {
		h.mend.Set(1)
		h.why += "; waiting alone does not mend this: " + remedy
	}
}

// misconfigured notes why the configuration file is not used while the database is waited for, "" if it is.
func (h *health) misconfigured(why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.config = oneLine(why)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// opened notes that the store is open.
func (h *health) opened() {
	h.open.Set(1)
	h.mend.Set(0)
	h.misconfigured("")
	h.turn(unready)
}

// turn makes the relay ready, or not ready for a reason.
func (h *health) turn(why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.why = why
}

func (h *health) readiness() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.config != "" {
		return h.why + "; the configuration file is not used, the last good one is: " + h.config
	}
	return h.why
}

func (h *health) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := h.readiness(); why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(h.metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	return mux
}

// Run serves until the context ends.
func (h *health) Run(ctx context.Context) error {
	server := &http.Server{
		Handler:           h.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(h.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving health: %w", err)
	}
	return nil
}
