// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package transit

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/report"
)

// A refusal of the way must not end a request whose direct path is slower, and takes it.
func TestARefusalOfOneWayDoesNotEndAnother(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		w.nations[alfa].ahead = 2 * time.Hour
		w.tamper = func(from, to string, r *http.Request, serve http.Handler, out http.ResponseWriter) {
			if from == alfa && to == bravo {
				<-time.After(3 * time.Second)
			}
			serve.ServeHTTP(out, r)
		}
		if _, answer, err := w.post(link.WithAllPaths(t.Context()), text); err != nil || answer != "receipt for "+text {
			t.Errorf("%q, %v", answer, err)
		}
		synctest.Wait()
	})
}

// A large request has more time on each way, and a way that drops it keeps it from no other.
func TestALargeRequestThatIsDroppedGoesTheNextWay(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		w.setCut(alfa, bravo, true)
		w.tamper = func(from, to string, r *http.Request, serve http.Handler, out http.ResponseWriter) {
			if to == charlie {
				<-r.Context().Done()
				return
			}
			serve.ServeHTTP(out, r)
		}
		large := strings.Repeat("x", 2<<20)
		begun := time.Now()
		_, answer, err := w.post(t.Context(), large)
		if took := time.Since(begun); err != nil || len(answer) < len(large) || took > routeTime+time.Second {
			t.Errorf("%d bytes after %s, %v", len(answer), took, err)
		}
		synctest.Wait()
	})
}

func TestWhatOnePeerUsesOfUsIsBounded(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		q := newQuotas(time.Now)
		var leave []func()
		for range AtOnce {
			l, ok := q.enter(alfa, config.DefaultTransitBytesPerSecond, 1)
			if !ok {
				t.Fatal("too few at once")
			}
			leave = append(leave, l)
		}
		if _, ok := q.enter(alfa, config.DefaultTransitBytesPerSecond, 1); ok {
			t.Error("more than allowed at once")
		}
		if _, ok := q.enter(bravo, config.DefaultTransitBytesPerSecond, 1); !ok {
			t.Error("one peer takes the turn of another")
		}
		for _, l := range leave {
			l()
		}
		q.used(alfa, burst)
		if _, ok := q.enter(alfa, config.DefaultTransitBytesPerSecond, 1); ok {
			t.Error("more bytes than allowed")
		}
		<-time.After(maxSealed / config.DefaultTransitBytesPerSecond * time.Second)
		if _, ok := q.enter(alfa, config.DefaultTransitBytesPerSecond, 1); !ok {
			t.Error("it never gets its turn again")
		}
	})
}

func TestTheBoundOfAPeerIsTheOneOfItsPeerCERT(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		q := newQuotas(time.Now)
		const slow, fast = 64 << 10, 8 << 20
		if _, ok := q.enter(alfa, slow, 1); !ok {
			t.Fatal("nothing is let in")
		}
		q.used(alfa, burst)
		<-time.After(time.Second)
		if _, ok := q.enter(alfa, slow, 1); ok {
			t.Error("more bytes than allowed")
		}
		if _, ok := q.enter(alfa, fast, 1); ok {
			t.Error("what was used under another bound is forgotten")
		}
		<-time.After(time.Second)
		if _, ok := q.enter(alfa, fast, 1); !ok {
			t.Error("a bound that was raised does not hold at once")
		}
	})
}

// Files that fill the bound of their sender leave room for its FLASH.
func TestLargeRequestsLeaveRoomForSmallOnes(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		q := newQuotas(time.Now)
		large := 0
		for range AtOnce {
			if _, ok := q.enter(alfa, config.DefaultTransitBytesPerSecond, maxSealed); ok {
				large++
			}
		}
		if _, ok := q.enter(alfa, config.DefaultTransitBytesPerSecond, -1); ok || large != AtOnce-1 {
			t.Errorf("%d large requests at once, want %d", large, AtOnce-1)
		}
		if _, ok := q.enter(alfa, config.DefaultTransitBytesPerSecond, 2<<10); !ok {
			t.Error("a FLASH finds no place beside large requests")
		}
		q = newQuotas(time.Now)
		for range 1000 {
			leave, ok := q.enter(alfa, config.DefaultTransitBytesPerSecond, maxSealed)
			if !ok {
				break
			}
			q.used(alfa, maxSealed)
			leave()
		}
		for range 100 {
			leave, ok := q.enter(alfa, config.DefaultTransitBytesPerSecond, 2<<10)
			if !ok {
				t.Fatal("a FLASH is refused after large requests")
			}
			q.used(alfa, 2<<10)
			leave()
		}
	})
}

func TestAWayThatTakesNoMoreFilesNowIsNoneThatFailed(t *testing.T) {
	w := newWorld(t)
	w.setCut(alfa, bravo, true)
	way := func() string {
		h := report.Hotline{Peer: "bravo"}
		w.nations[alfa].engine.Complete(&h)
		return string(h.Transit[0].State)
	}
	if _, _, err := w.post(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	w.tamper = func(_, to string, r *http.Request, serve http.Handler, out http.ResponseWriter) {
		if to == charlie || to == delta {
			problem.Write(out, http.StatusTooManyRequests, "that is more than we carry")
			return
		}
		serve.ServeHTTP(out, r)
	}
	if _, _, err := w.post(t.Context(), strings.Repeat("x", 2*small)); err == nil || way() != string(report.TransitReady) {
		t.Errorf("after a large request the way is %s, %v", way(), err)
	}
	if _, _, err := w.post(t.Context(), text); err == nil || way() != string(report.TransitFailed) {
		t.Errorf("after a small one the way is %s, %v", way(), err)
	}
}

func TestWaysAreTriedBeforeTheyAreNeeded(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		var up []string
		e := w.nations[alfa].engine
		e.cfg.OnUp = func(td string) { up = append(up, td) }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		state := func() report.Hotline {
			synctest.Wait()
			h := report.Hotline{Peer: "bravo"}
			e.Complete(&h)
			return h
		}
		<-time.After(lookEvery + time.Millisecond)
		if h := state(); h.Via != "" || h.Transit[0].State != report.TransitReady || h.Transit[1].State != report.TransitReady || len(up) > 0 {
			t.Errorf("while the direct path is up: %+v, %v", h, up)
		}
		w.setCut(charlie, bravo, true)
		w.setCut(alfa, bravo, true)
		<-time.After(downEvery + lookEvery)
		if h := state(); h.Via != "delta" || h.Transit[0].State != report.TransitFailed || len(up) != 1 {
			t.Errorf("while it is cut: %+v, %v", h, up)
		}
		if len(w.nations[bravo].served) > 0 {
			t.Error("a trial reached the hotline")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAnAnswerCountsMoreThanAnOldOfferWhileTheLineIsDown(t *testing.T) {
	w := newWorld(t)
	e := w.nations[alfa].engine
	e.cfg.Through = func(string) ([]string, bool) { return nil, true } // bravo had not said yet that it takes it
	see := func() report.Hotline {
		h := report.Hotline{Peer: "bravo"}
		e.Complete(&h)
		return h
	}
	w.setCut(alfa, bravo, true)
	if h := see(); h.Via != "" || h.Transit[0].State != report.TransitNotAccepted {
		t.Errorf("before anything came through: %+v", h)
	}
	if _, _, err := w.post(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	if h := see(); h.Via != "charlie" || h.Transit[0].State != report.TransitReady {
		t.Errorf("after an answer by charlie: %+v", h)
	}
	w.setCut(alfa, bravo, false)
	if h := see(); h.Transit[0].State != report.TransitNotAccepted {
		t.Errorf("with the line back its offer counts: %+v", h)
	}
}
