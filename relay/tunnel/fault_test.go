// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

func TestALinkThatIsCutResetsBothEnds(t *testing.T) {
	for name, cut := range map[string]func(*world){
		"by the importer": func(w *world) { w.alfa.link.cut() },
		"by the exporter": func(w *world) { w.bravo.link.cut() },
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			w := newWorld(t, serveTCP(t, func(c *net.TCPConn) {
				_, err := io.Copy(c, c)
				ended <- err
			}))
			c := w.dial(t)
			ping(t, c)
			cut(w)
			mustReset(t, c)
			if err := <-ended; err == nil {
				t.Error("the target saw an orderly end")
			}
			ping(t, w.dial(t)) // over a new connection
		})
	}
}

func TestALinkThatIsCutAfterHalfACloseResetsBothEnds(t *testing.T) {
	ended := make(chan error, 1)
	w := newWorld(t, serveTCP(t, func(c *net.TCPConn) {
		_, _ = io.ReadAll(c) // the client's end, then silence
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := c.Write([]byte("x")); err != nil {
				ended <- err
				return
			}
		}
	}))
	c := w.dial(t)
	_ = c.CloseWrite()
	_, _ = c.Read(make([]byte, 1))
	w.alfa.link.cut()
	mustReset(t, c)
	<-ended
}

func TestAClientThatVanishesFreesTheTarget(t *testing.T) {
	ended := make(chan error, 1)
	w := newWorld(t, serveTCP(t, func(c *net.TCPConn) {
		_, err := io.Copy(c, c)
		ended <- err
	}))
	c := w.dial(t)
	ping(t, c)
	_ = c.SetLinger(0)
	c.Close()
	if err := <-ended; err == nil {
		t.Error("a client that was reset looked like an orderly end")
	}
	eventually(t, "nothing is left", func() bool {
		return w.alfa.engine.Tunnels("bravo") == 0 && w.bravo.engine.Tunnels("alfa") == 0
	})
}

func TestATargetThatResetsResetsTheClient(t *testing.T) {
	w := newWorld(t, serveTCP(t, func(c *net.TCPConn) {
		_, _ = io.ReadFull(c, make([]byte, 4))
		_ = c.SetLinger(0)
	}))
	c := w.dial(t)
	_, _ = c.Write([]byte("ping"))
	mustReset(t, c)
}

func TestAClientWaitsForALinkThatComesBack(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	w.alfa.link.down.Store(true)
	c := w.dial(t)
	_, _ = c.Write([]byte("ping"))
	time.AfterFunc(200*time.Millisecond, func() { w.alfa.link.down.Store(false) })
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
}

func TestAClientIsResetWhenTheLinkStaysDown(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	w.alfa.link.down.Store(true)
	began := time.Now()
	w.isReset(t)
	if took := time.Since(began); took < 4*time.Second || took > patience/2 {
		t.Errorf("after %s", took)
	}
	if e := w.service(t, w.alfa, "bravo-web").Error; !strings.Contains(e, "the link is down") {
		t.Error(e)
	}
	w.alfa.link.down.Store(false)
	ping(t, w.dial(t))
	if e := w.service(t, w.alfa, "bravo-web").Error; e != "" {
		t.Error(e)
	}
}

func TestAParkedConnectionThatDiedIsNotTheEnd(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	exchange(t, w.dial(t), []byte("x"))
	eventually(t, "it is parked", func() bool { return w.alfa.engine.Tunnels("bravo") == 0 })
	w.bravo.link.cut()
	ping(t, w.dial(t))
}

func TestAPortThatIsTakenIsReportedAndTriedAgain(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	l := listenTCP(t)
	w.alfa.cfg.ServiceImports[0].Listen = l.Addr().String()
	w.alfa.engine.Apply(w.alfa.cfg)
	if s := w.service(t, w.alfa, "bravo-web"); s.Listening || !strings.Contains(s.Error, "address already in use") {
		t.Fatalf("%+v", s)
	}
	l.Close()
	w.alfa.engine.Apply(w.alfa.cfg)
	w.address = w.port(t, "bravo-web")
	ping(t, w.dial(t))
	if s := w.service(t, w.alfa, "bravo-web"); !s.Listening || s.Error != "" {
		t.Fatalf("%+v", s)
	}
}

func TestAHostileHeadIsRefused(t *testing.T) {
	for name, head := range map[string]string{
		"GET":              "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"an authority":     "CONNECT web:80@evil HTTP/1.1\r\n\r\n",
		"two spaces":       "CONNECT  web HTTP/1.1\r\n\r\n",
		"HTTP/1.0":         "CONNECT web HTTP/1.0\r\n\r\n",
		"a body":           "CONNECT web HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
		"chunks":           "CONNECT web HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"a folded field":   "CONNECT web HTTP/1.1\r\nHost: x\r\n y\r\n\r\n",
		"a bare line feed": "CONNECT web HTTP/1.1\nHost: x\r\n\r\n",
		"a space in name":  "CONNECT web HTTP/1.1\r\nHost : x\r\n\r\n",
		"NUL":              "CONNECT we\x00b HTTP/1.1\r\n\r\n",
		"an endless line":  "CONNECT " + strings.Repeat("a", 1<<16),
		"endless fields":   "CONNECT web HTTP/1.1\r\n" + strings.Repeat("X-A: b\r\n", 10000),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, serveTCP(t, func(*net.TCPConn) { t.Error("it reached the target") }))
			s, err := w.alfa.link.open(t.Context(), "bravo.example")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			go func() {
				_, _ = io.WriteString(s, head)
				_ = s.CloseWrite()
			}()
			b, _ := io.ReadAll(s)
			if !bytes.HasPrefix(b, []byte("HTTP/1.1 400 ")) {
				t.Errorf("answer %q", b)
			}
			eventually(t, "it is counted", func() bool { return counted(t, w.bravo, "certlink_relay_tunnel_refused_total", "bad_request") == 1 })
		})
	}
}

func TestAnAnswerThatIsNoneResetsTheClient(t *testing.T) {
	for name, answer := range map[string]string{
		"an endless head": strings.Repeat("x", 1<<16),
		"no status":       "HTTP/1.1 OK\r\n\r\n",
		"a body":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"an early end":    "HTTP/1.1 200 OK\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "127.0.0.1:1")
			serve := func(s *stream.Stream) {
				defer s.Close()
				_, _, _ = readAny(s)
				_, _ = io.WriteString(s, answer)
				_ = s.CloseWrite()
			}
			w.bravo.link.serve.Store(&serve)
			w.isReset(t)
		})
	}
}

func readAny(s *stream.Stream) (int, []byte, error) {
	b := make([]byte, 1024)
	n, err := s.Read(b)
	return n, b[:n], err
}

func TestEarlyBytesAreNotLost(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	s, err := w.alfa.link.open(t.Context(), "bravo.example")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, _ = io.WriteString(s, "CONNECT web HTTP/1.1\r\nX-Later: yes\r\n\r\nearly")
	_ = s.CloseWrite()
	b, err := io.ReadAll(s)
	if err != nil || string(b) != "HTTP/1.1 200 OK\r\n\r\nearly" {
		t.Fatalf("%q %v", b, err)
	}
}

func TestAnEngineThatEndsCutsEverything(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	c := w.dial(t)
	ping(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.bravo.engine.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	mustReset(t, c)
}
