// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package podforward

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// apiServer plays the part of the API server and the kubelet: port 7 echoes, any
// other refuses in the kubelet's way.
type apiServer struct {
	*httptest.Server
	mu       sync.Mutex
	path     string
	upgrades int
	conns    []httpstream.Connection
	refuse   bool
}

func setup(t *testing.T) (*apiServer, *Dialer) {
	t.Helper()
	s := &apiServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	d, err := New(&rest.Config{Host: s.URL}, "duty", "relay-0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return s, d
}

func (s *apiServer) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.path = r.URL.Path
	refuse := s.refuse
	s.mu.Unlock()
	if refuse || r.Method != http.MethodPost {
		// Neither may be upgraded; the first is what RBAC answers.
		http.Error(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"pods is forbidden","reason":"Forbidden","code":403}`, http.StatusForbidden)
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
		return
	}
	streams := make(chan httpstream.Stream, 8)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(stream httpstream.Stream, _ <-chan struct{}) error {
		streams <- stream
		return nil
	})
	if conn == nil {
		return
	}
	s.mu.Lock()
	s.upgrades++
	s.conns = append(s.conns, conn)
	s.mu.Unlock()
	defer conn.Close()
	faults := map[string]httpstream.Stream{}
	for {
		select {
		case <-conn.CloseChan():
			return
		case stream := <-streams:
			id := stream.Headers().Get(corev1.PortForwardRequestIDHeader)
			if stream.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				faults[id] = stream
				continue
			}
			go s.connect(stream, faults[id])
		}
	}
}

func (s *apiServer) connect(data, faults httpstream.Stream) {
	defer faults.Close()
	defer data.Close()
	if port := data.Headers().Get(corev1.PortHeader); port != "7" {
		io.WriteString(faults, "connect to 127.0.0.1:"+port+": connection refused")
		return
	}
	io.Copy(data, data)
}

func TestDialReachesThePort(t *testing.T) {
	server, dialer := setup(t)
	for range 3 {
		conn, err := dialer.Dial(t.Context(), 7)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "are you there"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len("are you there"))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "are you there" {
			t.Fatalf("read %q, %v", got, err)
		}
		conn.Close()
		if _, err := conn.Read(got); err == nil {
			t.Error("a closed connection still reads")
		}
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	if server.upgrades != 1 {
		t.Errorf("%d upgraded connections for three dials, want one", server.upgrades)
	}
	if want := "/api/v1/namespaces/duty/pods/relay-0/portforward"; server.path != want {
		t.Errorf("asked for %q, want %q", server.path, want)
	}
}

func TestDialTellsWhatTheKubeletSays(t *testing.T) {
	_, dialer := setup(t)
	conn, err := dialer.Dial(t.Context(), 9)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = conn.Read(make([]byte, 1))
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("read gave %v, want the kubelet's words", err)
	}
}

// A tunnel that leads to a pod which was replaced fails for ever; a new one does
// not. Conns in the old one are left alone.
func TestDialConnectsAnewAfterAFault(t *testing.T) {
	server, dialer := setup(t)
	working, err := dialer.Dial(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	defer working.Close()
	refused, err := dialer.Dial(t.Context(), 9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := refused.Read(make([]byte, 1)); err == nil {
		t.Fatal("the refused connection reads")
	}
	again, err := dialer.Dial(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for _, conn := range []io.ReadWriter{working, again} {
		if _, err := io.WriteString(conn, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	if server.upgrades != 2 {
		t.Errorf("%d tunnels were made, want two", server.upgrades)
	}
}

func TestDialConnectsAnewAfterTheConnectionIsLost(t *testing.T) {
	server, dialer := setup(t)
	first, err := dialer.Dial(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(first, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(first, make([]byte, 1)); err != nil { // by now the server has noted the connection
		t.Fatal(err)
	}
	server.mu.Lock()
	server.conns[0].Close()
	server.mu.Unlock()
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Fatal("the first connection outlives the upgraded one")
	}
	<-dialer.current.CloseChan()
	second, err := dialer.Dial(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}

func TestDialTellsThatItIsForbidden(t *testing.T) {
	server, dialer := setup(t)
	server.mu.Lock()
	server.refuse = true
	server.mu.Unlock()
	_, err := dialer.Dial(t.Context(), 7)
	if err == nil || !strings.Contains(err.Error(), "forbidden") || !strings.Contains(err.Error(), "duty/relay-0") {
		t.Errorf("dialling gave %v, want the refusal and the pod", err)
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	_, dialer := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	conn, err := dialer.Dial(ctx, 7)
	if err == nil {
		conn.Close() // the dial may have been quicker than the context
		return
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("dialling gave %v, want the context's end", err)
	}
}
