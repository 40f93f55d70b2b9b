// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

var pathID = link.Path{TrustDomain: "bravo.example", Address: "bravo:1"}

// raw is a connection of a peer that is played by the test.
func raw(s *side, address string) (mine *end, ended <-chan struct{}) {
	c := &cable{}
	mine, theirs := c.connect()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Heartbeats(context.Background(), access.Peer{Name: "bravo", TrustDomain: "bravo.example", Relay: true}, link.Path{Address: address}, report.TLS{}, theirs)
	}()
	return mine, done
}

func isClosed(c <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestAConnectionThatBreaksTheProtocolIsClosed(t *testing.T) {
	beat := (&Beat{Seq: 1, Instance: "x", IntervalMilliseconds: 100, Misses: 3}).append(nil)
	for name, send := range map[string][]byte{
		"no_JSON":            []byte("hello\n"),
		"an_empty_line":      []byte("\n"),
		"without_a_sequence": []byte("{}\n"),
		"a_negative_time":    []byte(`{"seq":1,"heldMicroseconds":-1}` + "\n"),
		"a_long_word":        []byte(`{"seq":1,"offer":"` + strings.Repeat("x", maxWord+1) + `"}` + "\n"),
		"a_line_without_end": bytes.Repeat([]byte("x"), MaxBeat+1),
		"a_flood":            bytes.Repeat(beat, 1000),
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				alfa := newSide(t, "alfa", "bravo")
				alfa.run()
				conn, ended := raw(alfa, "alfa:1")
				if _, err := conn.Write(beat); err != nil {
					t.Fatal(err)
				}
				if isClosed(ended) {
					t.Fatal("a beat ended the connection")
				}
				if _, err := conn.Write(send); err != nil {
					t.Fatal(err)
				}
				if !isClosed(ended) {
					t.Error("the connection goes on")
				}
				conn.Close()
			})
		})
	}
}

func TestAConnectionWithoutABeatIsClosed(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa := newSide(t, "alfa", "bravo")
		alfa.run()
		conn, ended := raw(alfa, "alfa:1")
		sleep(firstBeat - time.Second)
		if isClosed(ended) {
			t.Fatal("closed too soon")
		}
		sleep(2 * time.Second)
		if !isClosed(ended) {
			t.Error("the connection goes on")
		}
		conn.Close()
	})
}

func TestThePathsAndConnectionsThatAPeerDialsAreBounded(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa := newSide(t, "alfa", "bravo")
		alfa.run()
		var ends []*end
		var open []<-chan struct{}
		for i := range 20 {
			conn, ended := raw(alfa, strings.Repeat("a", i+1)+":1")
			sleep(ms) // the first eight are those that are taken
			ends, open = append(ends, conn), append(open, ended)
		}
		if n := len(alfa.peer().Paths); n != maxAccepted {
			t.Errorf("%d paths", n)
		}
		for range 20 {
			conn, ended := raw(alfa, "a:1")
			sleep(ms)
			ends, open = append(ends, conn), append(open, ended)
		}
		n := 0
		for _, ended := range open {
			if !isClosed(ended) {
				n++
			}
		}
		if want := maxAccepted - 1 + 2*connections; n != want {
			t.Errorf("%d connections, want %d", n, want)
		}
		for _, e := range ends {
			e.Close()
		}
	})
}

func TestABeatIsReadAsItWasWritten(t *testing.T) {
	b := Beat{
		Seq: 1<<64 - 1, SentAt: time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC), Instance: "ABCDEF", Seen: 41, HeldMicroseconds: 1200,
		SilentMicroseconds: 900, IntervalMilliseconds: 100, Misses: 3,
		View:  View{Outbound: report.Up, Inbound: report.Down, Cause: report.CauseUnreachable},
		Offer: strings.Repeat("0", maxWord), End: EndStopping,
	}
	text := b.append(nil)
	got, err := parse(bytes.TrimSuffix(text, []byte("\n")))
	if diff := cmp.Diff(b, got); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
	if len(text) > MaxBeat {
		t.Errorf("%d bytes", len(text))
	}
	b.Offer = "a \"quote\""
	if got, err := parse(b.append(nil)); err != nil || got.Offer != "" {
		t.Errorf("%q, %v", got.Offer, err)
	}
	got, err = parse([]byte(`{"seq":1,"news":{"of":["a","newer","relay"]},"instance":"x"}`))
	if err != nil || got.Seq != 1 || got.IntervalMilliseconds != 50 {
		t.Errorf("%+v, %v", got, err)
	}
	buffer := make([]byte, 0, MaxBeat)
	if n := testing.AllocsPerRun(100, func() { buffer = b.append(buffer[:0]) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"seq":1,"sentAt":"2026-01-01T00:00:00Z","instance":"x","seen":4,"heldMicroseconds":9223372036854775807,"silentMicroseconds":1,"intervalMilliseconds":1000,"misses":3,"view":{"outbound":"Up","inbound":"Down"},"offer":"r","end":"Removed"}`))
	f.Add([]byte(`{"seq":18446744073709551615,"seen":18446744073709551615}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := parse(text)
		if err != nil {
			return
		}
		now := time.Now()
		p := newPath(pathID, clampOf(b), &lateness{}, now)
		p.beat(now)
		p.take(&line{}, b, now)
		p.judge(now)
		p.judge(now.Add(time.Hour))
		if p.roundTrip < 0 || p.unheard < 0 || p.unheard > longest {
			t.Errorf("%+v", p)
		}
		if out := b.append(nil); len(out) > MaxBeat {
			t.Errorf("%d bytes", len(out))
		}
	})
}

func TestASingleBeatIsAnswered(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, bravo, _ := two(t)
		sleep(time.Second)
		bravo.with(func(s *side) { s.jump = time.Hour })
		client := &http.Client{Transport: played(func(r *http.Request) *http.Response {
			w := httptest.NewRecorder()
			bravo.ServeHTTP(w, r.WithContext(access.WithPeer(r.Context(), access.Peer{Name: "alfa", TrustDomain: "alfa.example"})))
			return w.Result()
		})}
		answer, err := alfa.Ask(t.Context(), client, "bravo.example")
		if err != nil || answer.View.Outbound != report.Up || !answer.ReceivedAt.Equal(bravo.now()) {
			t.Errorf("%+v, %v", answer, err)
		}
		if _, err := alfa.Ask(t.Context(), client, "charlie.example"); err == nil {
			t.Error("a stranger was asked")
		}
		for status, cause := range map[int]report.Cause{http.StatusForbidden: report.CauseRefused, http.StatusOK: report.CauseProtocol, http.StatusTeapot: report.CauseProtocol} {
			client := &http.Client{Transport: played(func(*http.Request) *http.Response {
				w := httptest.NewRecorder()
				w.WriteHeader(status)
				w.WriteString("{}")
				return w.Result()
			})}
			if _, err := alfa.Ask(t.Context(), client, "bravo.example"); faultOf("", err).cause != cause {
				t.Errorf("status %d: %v", status, err)
			}
		}
	})
}

type played func(*http.Request) *http.Response

func (p played) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := p(r)
	resp.Request = r
	return resp, nil
}

func TestHandlerRefusesWhatIsNoBeat(t *testing.T) {
	alfa := newSide(t, "alfa", "bravo")
	alfa.Apply(&alfa.cfg)
	known := access.WithPeer(t.Context(), access.Peer{Name: "bravo", TrustDomain: "bravo.example"})
	gone := access.WithPeer(t.Context(), access.Peer{Name: "charlie", TrustDomain: "charlie.example"})
	for _, c := range []struct {
		name         string
		ctx          context.Context
		method, path string
		body         string
		want         int
	}{
		{"from_nobody", t.Context(), http.MethodPost, link.PathProbe, `{"seq":1}`, http.StatusForbidden},
		{"from_a_peer_that_is_gone", gone, http.MethodPost, link.PathProbe, `{"seq":1}`, http.StatusForbidden},
		{"to_another_path", known, http.MethodPost, link.PathProbe + "s", `{"seq":1}`, http.StatusNotFound},
		{"by_GET", known, http.MethodGet, link.PathProbe, "", http.StatusMethodNotAllowed},
		{"without_a_number", known, http.MethodPost, link.PathProbe, `{}`, http.StatusBadRequest},
		{"that_is_no_JSON", known, http.MethodPost, link.PathProbe, `{`, http.StatusBadRequest},
		{"that_is_too_long", known, http.MethodPost, link.PathProbe, `{"seq":1,"x":"` + strings.Repeat("x", MaxBeat) + `"}`, http.StatusRequestEntityTooLarge},
		{"is_answered_otherwise", known, http.MethodPost, link.PathProbe, `{"seq":1}`, http.StatusOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			alfa.ServeHTTP(w, httptest.NewRequestWithContext(c.ctx, c.method, c.path, strings.NewReader(c.body)))
			if w.Code != c.want {
				t.Errorf("status %d, want %d: %s", w.Code, c.want, w.Body)
			}
		})
	}
}

func TestBeatsOfAPathAreSpreadOverTheInterval(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa := newSide(t, "alfa", "bravo")
		alfa.run()
		begin := time.Now()
		var phases []time.Duration
		for range connections {
			conn, _ := raw(alfa, "alfa:1")
			synctest.Wait() // each takes its third
			reader := bufio.NewReader(conn)
			var at time.Duration
			for range 3 {
				text, err := reader.ReadBytes('\n')
				var b Beat
				if err != nil || json.Unmarshal(text, &b) != nil {
					t.Fatal(err)
				}
				at = time.Since(begin)
			}
			phases = append(phases, at%(100*ms))
			defer conn.Close()
		}
		if phases[0] != 0 || phases[1].Round(ms) != 33*ms || phases[2].Round(ms) != 67*ms {
			t.Errorf("phases %v", phases)
		}
	})
}

func clampOf(b Beat) config.Detection {
	return clamp(config.Detection{IntervalMilliseconds: b.IntervalMilliseconds, Misses: b.Misses})
}
