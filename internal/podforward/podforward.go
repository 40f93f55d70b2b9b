// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package podforward dials a port of a pod through the Kubernetes API server,
// as kubectl port-forward does, but without a listener on this machine: what is
// dialled is only in the hands of the caller.
//
// It promises a net.Conn for each Dial, over one upgraded connection that is
// made on the first Dial, and made again after it was lost or led to a pod that
// is gone. It does not encrypt end to end and does not authenticate the pod: that
// is for the TLS above it.
package podforward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// Dialer dials one pod. It may be used concurrently.
type Dialer struct {
	upgrade httpstream.Dialer
	pod     string

	mu        sync.Mutex // guards the fields below, and those of every tunnel
	current   *tunnel
	requestID int
}

// tunnel is an upgraded connection. One that is current no more ends with the
// last conn in it.
type tunnel struct {
	httpstream.Connection
	conns int
}

// New returns a dialer for a pod; it connects on the first Dial. The API server
// asks for the right to create pods/portforward.
func New(config *rest.Config, namespace, pod string) (*Dialer, error) {
	target, err := forwardURL(config, namespace, pod)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, fmt.Errorf("preparing the port-forward to pod %q: %w", pod, err)
	}
	overSPDY := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	overWebSocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(target, config)
	if err != nil {
		return nil, fmt.Errorf("preparing the port-forward to pod %q: %w", pod, err)
	}
	fallsBack := func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}
	return &Dialer{
		upgrade: portforward.NewFallbackDialerForStreaming(overWebSocket, overSPDY, fallsBack),
		pod:     namespace + "/" + pod,
	}, nil
}

func forwardURL(config *rest.Config, namespace, pod string) (*url.URL, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the API server: %w", err)
	}
	return base.JoinPath("api", "v1", "namespaces", namespace, "pods", pod, "portforward"), nil
}

// Dial connects to a port of the pod. The end of ctx while dialling closes what
// was begun; afterwards it has no effect.
func (d *Dialer) Dial(ctx context.Context, port int) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	// The upgrade below knows no context.
	done := make(chan result, 1)
	go func() {
		conn, err := d.dial(port)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				r.conn.Close()
			}
		}()
		return nil, fmt.Errorf("dialling port %d of pod %q: %w", port, d.pod, ctx.Err())
	}
}

// Close ends what no conn is using; the rest ends with its last conn.
func (d *Dialer) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.retire()
	return nil
}

// retire makes the next Dial connect anew. It needs d.mu.
func (d *Dialer) retire() {
	t := d.current
	d.current = nil
	if t != nil && t.conns == 0 {
		t.Close()
	}
}

// release is called when a conn ends.
func (d *Dialer) release(t *tunnel) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.conns--; t.conns == 0 && t != d.current {
		t.Close()
	}
}

// fault is called when the kubelet could not connect: the tunnel may lead to a
// pod that was replaced by another of its name.
func (d *Dialer) fault(t *tunnel) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t == d.current {
		d.retire()
	}
}

func (d *Dialer) dial(port int) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.connect(); err != nil {
		return nil, fmt.Errorf("port-forwarding to pod %q: %w", d.pod, err)
	}
	d.requestID++
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(d.requestID))
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	t := d.current
	faults, err := t.CreateStream(headers)
	if err != nil {
		return nil, d.lost(port, err)
	}
	faults.Close() // we never write to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := t.CreateStream(headers)
	if err != nil {
		t.RemoveStreams(faults)
		return nil, d.lost(port, err)
	}
	t.conns++
	return newConn(d, t, data, faults, port), nil
}

// connect needs d.mu.
func (d *Dialer) connect() error {
	if d.current != nil {
		select {
		case <-d.current.CloseChan():
			d.retire()
		default:
			return nil
		}
	}
	conn, protocol, err := d.upgrade.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return err
	}
	if protocol != portforward.PortForwardProtocolV1Name {
		return errors.Join(fmt.Errorf("the API server speaks %q, not %q", protocol, portforward.PortForwardProtocolV1Name), conn.Close())
	}
	d.current = &tunnel{Connection: conn}
	return nil
}

// lost gives up the tunnel, so that the next Dial makes a new one. It needs d.mu.
func (d *Dialer) lost(port int, cause error) error {
	d.retire()
	return fmt.Errorf("dialling port %d of pod %q: %w", port, d.pod, cause)
}
