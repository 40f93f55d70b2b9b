// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package boot

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/nations/internal/unixapi"
)

// Status is what Init tells of its nation.
type Status struct {
	// Booted is true once every component was started; Problem says why it never will be.
	Booted     bool              `json:"booted"`
	Problem    string            `json:"problem,omitempty"`
	Components []ComponentStatus `json:"components"`
}

type progress struct {
	mu      sync.Mutex
	booted  bool
	problem string
}

func (p *progress) succeed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.booted = true
}

func (p *progress) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problem = err.Error()
}

// serve answers at the control socket for ever.
func serve(ctx context.Context, dirs layout.Dirs, s *supervisor, state *progress) error {
	if err := removeSocket(dirs.InitSocket()); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", dirs.InitSocket())
	if err != nil {
		return fmt.Errorf("listening for orders: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		state.mu.Lock()
		defer state.mu.Unlock()
		_ = json.NewEncoder(w).Encode(Status{Booted: state.booted, Problem: state.problem, Components: s.status()})
	})
	mux.HandleFunc("POST /components/{name}/start", func(w http.ResponseWriter, r *http.Request) {
		unixapi.Reply(w, nil, s.start(r.PathValue("name")))
	})
	mux.HandleFunc("POST /components/{name}/stop", func(w http.ResponseWriter, r *http.Request) {
		unixapi.Reply(w, nil, s.stop(r.PathValue("name")))
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}

// Ask returns what the nation's Init says of itself.
func Ask(ctx context.Context, dirs layout.Dirs) (Status, error) {
	var status Status
	err := unixapi.Call(ctx, dirs.InitSocket(), http.MethodGet, "/status", nil, &status)
	return status, err
}

// Start has Init start a component, one that was stopped too, and keep it running.
func Start(ctx context.Context, dirs layout.Dirs, name string) error {
	return unixapi.Call(ctx, dirs.InitSocket(), http.MethodPost, "/components/"+url.PathEscape(name)+"/start", nil, nil)
}

// Stop has Init kill a component and keep it down. It returns when the process is gone.
func Stop(ctx context.Context, dirs layout.Dirs, name string) error {
	return unixapi.Call(ctx, dirs.InitSocket(), http.MethodPost, "/components/"+url.PathEscape(name)+"/stop", nil, nil)
}
