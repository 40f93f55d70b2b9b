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
	refusals prometheus.Counter

	mu      sync.Mutex // guards what follows
	why     string     // the relay is not ready; empty when it is
	waiting time.Time  // since when the database is waited for
}

func newHealth(listener net.Listener, metrics *prometheus.Registry, log *slog.Logger) *health {
	h := &health{
		listener: listener, metrics: metrics, log: log, why: unready,
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "certlink_relay_store_open", Help: "1 once the relay has opened its store, 0 while it waits for the database at its start.",
		}),
		refusals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "certlink_relay_store_refusals_total", Help: "Attempts to open the database at the start of the relay that failed: it was away, or refused.",
		}),
	}
	metrics.MustRegister(h.open, h.refusals)
	return h
}

// refused notes that the database did not take us.
func (h *health) refused(err error) {
	h.refusals.Inc()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting.IsZero() {
		h.waiting = time.Now()
	}
	h.why = "waiting for the database since " + h.waiting.UTC().Format(time.RFC3339) + ": " + strings.Join(strings.Fields(err.Error()), " ")
}

// opened notes that the store is open.
func (h *health) opened() {
	h.open.Set(1)
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
