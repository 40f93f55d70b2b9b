// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
)

// DialerConfig is what a Dialer needs.
type DialerConfig struct {
	// Identity says who we are and whom we trust. Required.
	Identity *identity.Source
	// Log is required.
	Log *slog.Logger
	// Metrics is where metrics are registered. Required.
	Metrics prometheus.Registerer
	// Clock returns the time; nil means time.Now.
	Clock func() time.Time
}

// Dialer opens connections to the relays of our peers.
type Dialer struct {
	cfg     DialerConfig
	open    *registry
	history *history
	dials   *prometheus.CounterVec

	mu    sync.Mutex // guards what follows
	pools map[target]*pool
}

// target is where the connections of a pool go.
type target struct {
	trustDomain string
	class       Class
	address     string // "" means the best path
}

// pool is the connections to a target under one identity and one configuration
// of the peer. It is replaced, never changed.
type pool struct {
	transport *http.Transport
	peer      config.Peer
	serial    string // of our certificate
}

// NewDialer checks the configuration.
func NewDialer(cfg DialerConfig) (*Dialer, error) {
	if cfg.Identity == nil || cfg.Log == nil || cfg.Metrics == nil {
		return nil, errors.New("link dialer needs an identity, a logger and metrics")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	d := &Dialer{cfg: cfg, open: newRegistry(), history: newHistory(), pools: map[target]*pool{}}
	d.dials = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "certlink_relay_link_dials_total", Help: "Connections that we tried to open to peers, by result.",
	}, []string{"result"})
	cfg.Metrics.MustRegister(d.dials)
	cfg.Identity.OnChange(d.trustChanged)
	return d, nil
}

// Client returns an HTTP client whose requests, to https://TRUSTDOMAIN/..., go to
// the relay of that peer over its best path. Its errors are *Error inside a
// *url.Error. It follows no redirects, repeats a request only on a connection
// that the peer had closed while it was idle, and is safe concurrently.
func (d *Dialer) Client(trustDomain string, class Class) *http.Client {
	return d.client(target{trustDomain: trustDomain, class: class})
}

// PathClient is Client for probes over the path of one address.
func (d *Dialer) PathClient(trustDomain, address string) *http.Client {
	return d.client(target{trustDomain: trustDomain, class: Probe, address: address})
}

func (d *Dialer) client(t target) *http.Client {
	return d.over(t, func() (*http.Transport, error) { return d.transport(t) })
}

// over returns the client of a target over the connections of a transport.
func (d *Dialer) over(t target, transport func() (*http.Transport, error)) *http.Client {
	return &http.Client{
		Transport:     &roundTripper{dialer: d, target: t, transport: transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// SetPath says what probes found about a path. When it went down, idle connections
// to the peer are closed, so that the next request does not wait for a dead one.
// Requests that are under way go on: on a crowded path they may yet get through.
func (d *Dialer) SetPath(trustDomain, address string, up bool) {
	d.history.note(trustDomain, address, up, d.cfg.Clock())
	if up {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for t, p := range d.pools {
		if t.trustDomain == trustDomain {
			p.transport.CloseIdleConnections()
		}
	}
}

// Run checks open connections until the context ends, then closes them.
func (d *Dialer) Run(ctx context.Context) error {
	tick := time.NewTicker(recheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			d.close()
			return nil
		case <-tick.C:
			d.open.recheck(d.cfg.Identity.Current())
		}
	}
}

func (d *Dialer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for t, p := range d.pools {
		p.transport.CloseIdleConnections()
		delete(d.pools, t)
	}
	d.open.cut(func(session) bool { return true })
}

// trustChanged lets requests that begin now use the new snapshot, and cuts the
// connections that it would not accept. Requests on their way under our old
// certificate end in peace.
func (d *Dialer) trustChanged(now *identity.Snapshot) {
	d.mu.Lock()
	for t, p := range d.pools {
		peer, known := now.Peer(t.trustDomain)
		if !known || p.serial != now.LinkSerial() || !reflect.DeepEqual(peer, p.peer) {
			p.transport.CloseIdleConnections()
			delete(d.pools, t)
		}
	}
	d.mu.Unlock()
	d.open.recheck(now)
	d.history.keep(func(trustDomain string) bool { _, known := now.Peer(trustDomain); return known })
}

// transport returns the pool of a target under the present snapshot.
func (d *Dialer) transport(t target) (*http.Transport, error) {
	now := d.cfg.Identity.Current()
	if now == nil {
		return nil, errNobody
	}
	peer, err := callable(now, t)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p, ok := d.pools[t]; ok && p.serial == now.LinkSerial() && reflect.DeepEqual(p.peer, peer) {
		return p.transport, nil
	}
	if old, ok := d.pools[t]; ok {
		old.transport.CloseIdleConnections()
	}
	p := &pool{peer: peer, serial: now.LinkSerial(), transport: newTransport(t.class, d.dialer(t, peer))}
	d.pools[t] = p
	return p.transport, nil
}

func newTransport(class Class, dial func(context.Context, string, string) (net.Conn, error)) *http.Transport {
	l := classes[class]
	return &http.Transport{
		DialTLSContext:         dial,
		DialContext:            refusePlain,
		MaxIdleConns:           l.pool,
		MaxIdleConnsPerHost:    l.pool,
		MaxConnsPerHost:        l.held / 2,
		IdleConnTimeout:        l.idle / 2,
		ResponseHeaderTimeout:  l.answer,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
	}
}
