// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// relay plays the relay of one LocalCERT, as far as the operator sees it: it
// takes up the configuration from the ConfigMap and serves its report over
// mutual TLS with the certificates that were really issued.
type relay struct {
	client    client.Client
	namespace string
	name      string
	address   string

	mu       sync.Mutex
	listener net.Listener
	server   *http.Server
	state    report.Report
	config   *config.Config
	changed  chan struct{}
	asked    int
}

// playRelay listens at an address of its own as soon as the certificates are there.
func playRelay(t *testing.T, s *server, localCERT string) *relay {
	t.Helper()
	r := &relay{client: s.Client, namespace: s.Namespace, name: localCERT, changed: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = l.Addr().String()
	l.Close() // until up, nobody answers there
	t.Cleanup(r.down)
	return r
}

// up starts the relay, which reads its configuration every 50 ms.
func (r *relay) up(t *testing.T) {
	t.Helper()
	eventually(t, "the local certificate is issued", func() error {
		_, err := r.tls(t.Context())
		return err
	})
	l, err := tls.Listen("tcp", r.address, &tls.Config{
		MinVersion:         tls.VersionTLS13,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) { return r.tls(hello.Context()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+report.Path, r.serve)
	ctx, stop := context.WithCancel(context.Background())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	server.RegisterOnShutdown(stop)
	r.mu.Lock()
	r.listener, r.server = l, server
	r.state.StartedAt = time.Now()
	r.mu.Unlock()
	r.change(func(*report.Report) {})
	go func() { _ = server.Serve(l) }()
	go r.reload(ctx)
}

// tls is the configuration of the local port, with the certificate that is there
// now. Clients may come from every CA by which peers know us.
func (r *relay) tls(ctx context.Context) (*tls.Config, error) {
	var secret corev1.Secret
	if err := r.client.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: r.name + "-local"}, &secret); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(secret.Data["ca.crt"])
	if c := r.live(); c != nil {
		roots.AppendCertsFromPEM([]byte(c.Identity.Bundle))
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
	}, nil
}

// down ends the relay as a crash would.
func (r *relay) down() {
	r.mu.Lock()
	server := r.server
	r.server = nil
	r.mu.Unlock()
	if server != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = server.Shutdown(ctx)
		_ = server.Close()
	}
}

// reload takes up the configuration as the relay does.
func (r *relay) reload(ctx context.Context) {
	for ctx.Err() == nil {
		var from corev1.ConfigMap
		if err := r.client.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: r.name + "-relay"}, &from); err == nil {
			file := []byte(from.Data["relay.yaml"])
			sum := config.Checksum(file)
			if c, err := config.Decode(file); err == nil && r.checksum() != sum {
				r.change(func(s *report.Report) { s.Config.Checksum = sum; r.config = c })
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (r *relay) checksum() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Config.Checksum
}

// live is the configuration that the relay took up last.
func (r *relay) live() *config.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.config
}

// requests that the operator has sent so far.
func (r *relay) requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// change changes the report and lets the waiting request go.
func (r *relay) change(f func(*report.Report)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.state)
	n, _ := strconv.Atoi(r.state.Revision)
	r.state.Revision = strconv.Itoa(n + 1)
	close(r.changed)
	r.changed = make(chan struct{})
}

// changeIf changes the report only if f says that it did.
func (r *relay) changeIf(f func(*report.Report) bool) {
	r.mu.Lock()
	state := r.state
	changed := f(&state)
	r.mu.Unlock()
	if changed {
		r.change(func(now *report.Report) { f(now) })
	}
}

func (r *relay) serve(w http.ResponseWriter, req *http.Request) {
	if err := mustBeOperator(req); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	for {
		r.mu.Lock()
		r.asked++
		state, changed := r.state, r.changed
		body, err := json.Marshal(state)
		r.mu.Unlock()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if state.Revision != req.URL.Query().Get("since") {
			_, _ = w.Write(body)
			return
		}
		select {
		case <-changed:
		case <-req.Context().Done():
			return
		case <-time.After(report.MaxWait):
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
}

func mustBeOperator(req *http.Request) error {
	uris := req.TLS.PeerCertificates[0].URIs
	if len(uris) != 1 || uris[0].Path != "/operator" {
		return fmt.Errorf("%v is not the operator", uris)
	}
	return nil
}
