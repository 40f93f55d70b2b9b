// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/stream"
)

// dial opens an authenticated connection of bravo's relay to alfa's link port.
func dial(t *testing.T, alfa, bravo *nation, protocol string) *tls.Conn {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(alfa.ca.Root)
	d := &tls.Dialer{Config: &tls.Config{
		Certificates: []tls.Certificate{bravo.ca.Leaf(t, testca.Leaf{Path: "/relay"}).TLS()},
		RootCAs:      roots, ServerName: "localhost", NextProtos: []string{protocol},
	}}
	conn, err := d.DialContext(t.Context(), "tcp", alfa.cfg.Listen.Link)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*tls.Conn)
}

// framed opens a connection of bravo's relay and a stream on it.
func framed(t *testing.T, alfa, bravo *nation, protocol string) *stream.Stream {
	t.Helper()
	s, err := open(dial(t, alfa, bravo, protocol))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// open begins a stream on an authenticated connection.
func open(conn net.Conn) (*stream.Stream, error) {
	c, err := stream.Client(conn, stream.Hello{Address: "relay.test:8443"}, stream.Config{})
	if err != nil {
		return nil, err
	}
	return c.Open()
}

// status reads the status line of an answer.
func status(t *testing.T, conn net.Conn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Logf("reading the answer: %v", err)
	}
	return line
}

func TestInputOfAPeerIsBounded(t *testing.T) {
	alfa, bravo := pair(t)
	alfa.connected(t)

	t.Run("a_giant_header_is_refused", func(t *testing.T) {
		conn := dial(t, alfa, bravo, "http/1.1")
		go func() {
			_, _ = fmt.Fprintf(conn, "GET /taxii2/ HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 1<<20))
		}()
		if line := status(t, conn); !strings.Contains(line, "431") {
			t.Errorf("answer %q", line)
		}
	})
	t.Run("a_giant_body_is_refused", func(t *testing.T) {
		for _, target := range []struct {
			protocol, path string
			reset          bool // the answer comes before any of the body is read
		}{
			{"certlink-hotline/1", "/certlink/v1/hotline/batches", true},
			{"certlink-probe/1", "/certlink/v1/probe", false},
		} {
			conn := framed(t, alfa, bravo, target.protocol)
			go func() {
				_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/vnd.certlink.hotline-batch+cbor\r\nContent-Length: %d\r\n\r\n", target.path, 1<<30)
				_, _ = io.CopyN(conn, zeros{}, 8<<20) // ends when the relay has closed
			}()
			// The relay answers before the body is there, and closes: what is still being sent
			// may reset the connection before the answer is read.
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(conn).ReadString('\n')
			if (err == nil || !target.reset) && !strings.Contains(line, " 4") || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: answer %q, %v", target.path, line, err)
			}
		}
	})
	t.Run("deep_JSON_is_refused", func(t *testing.T) {
		conn := framed(t, alfa, bravo, "certlink-probe/1")
		body := strings.Repeat("[", 900)
		if _, err := fmt.Fprintf(conn, "POST /certlink/v1/probe HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
			t.Fatal(err)
		}
		if line := status(t, conn); !strings.Contains(line, "400") {
			t.Errorf("answer %q", line)
		}
	})
	t.Run("slow_bytes_are_cut_off", func(t *testing.T) {
		conn := framed(t, alfa, bravo, "certlink-probe/1")
		begun := time.Now()
		if _, err := io.WriteString(conn, "POST /certlink/v1/probe HTTP/1.1\r\nHost: x\r\n"); err != nil {
			t.Fatal(err)
		}
		for time.Since(begun) < patience { // one byte in each half second, for ever
			if _, err := io.WriteString(conn, "x"); err != nil {
				break
			}
			wait(t, 500*time.Millisecond)
		}
		if took := time.Since(begun); took > 15*time.Second {
			t.Errorf("a slow header was read for %s", took)
		}
	})
	t.Run("connections_of_one_peer_are_counted", func(t *testing.T) {
		refused := 0
		for range 100 {
			conn := dial(t, alfa, bravo, "certlink-hotline/1")
			if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				refused++
			}
			if refused > 10 {
				return
			}
		}
		t.Errorf("%d of 100 connections were refused", refused)
	})
	alfa.connected(t)
}

// TestStrangersCannotExhaustTheRelay opens thousands of connections that never
// finish the handshake, and looks whether the peer's traffic goes on.
func TestStrangersCannotExhaustTheRelay(t *testing.T) {
	alfa, bravo := pair(t)
	alfa.connected(t)
	before := bravo.connected(t)

	const flood = 3000
	open := 0
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	stranger := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: 2 * time.Second}
	for range flood {
		conn, err := stranger.DialContext(t.Context(), "tcp", alfa.cfg.Listen.Link)
		if err != nil {
			continue // refused already, which is as good
		}
		conns = append(conns, conn)
		_, _ = conn.Write([]byte{22, 3, 1, 2, 0}) // the first bytes of a handshake
	}
	for _, c := range conns {
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
			continue
		}
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			open++
		}
	}
	t.Logf("%d of %d connections are still open", open, flood)
	if open > 128 {
		t.Errorf("one stranger holds %d connections", open)
	}
	probeOnce(t, alfa, bravo)
	if status, data, err := bravo.call(t.Context(), t, http.MethodGet, report.Path, "", nil); err != nil || status != http.StatusOK {
		t.Errorf("report: %d %s %v", status, data, err)
	}
	after := bravo.connected(t)
	if !after.Outbound.Since.Equal(before.Outbound.Since) {
		t.Errorf("the link was down in between: up since %s, was %s", after.Outbound.Since, before.Outbound.Since)
	}
}

// probeOnce opens a new connection of the peer while the strangers wait.
func probeOnce(t *testing.T, alfa, bravo *nation) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	conn := framed(t, alfa, bravo, "certlink-probe/1")
	if _, err := io.WriteString(conn, "GET /certlink/v1/probe HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line := status(t, conn); !strings.Contains(line, "405") || ctx.Err() != nil {
		t.Errorf("a peer that comes while strangers wait gets %q (%v)", line, ctx.Err())
	}
}
