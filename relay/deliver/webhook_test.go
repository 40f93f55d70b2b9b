// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
)

func TestAWebhookGetsEveryObjectInOrder(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	w.put(0, 600)
	w.start(hook(r.URL))
	w.untilDelivered("siem", 600)
	w.put(600, 610)
	w.untilDelivered("siem", 610)
	if diff := cmp.Diff(idRange(0, 610), r.got()); diff != "" {
		t.Error(diff)
	}
	if got := len(r.bodies); got != 4 {
		t.Errorf("%d requests, want batches of %d", got, batchObjects)
	}
}

func TestFaultsOfAReceiverLoseNothing(t *testing.T) {
	for name, faults := range map[string][]http.HandlerFunc{
		"busy": {status(503), status(503)},
		"asks to wait": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}},
		"broken":         {status(500), status(404)},
		"cut":            {cut, cut, cut},
		"not authorised": {status(401)},
		"redirects us": {func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, "http://192.0.2.1/", http.StatusTemporaryRedirect)
		}},
		"too much":        {status(413)},
		"nothing, at all": nil,
	} {
		t.Run(name, func(t *testing.T) {
			w, r := newWorld(t), newReceiver(t, faults...)
			w.put(0, 10)
			w.start(hook(r.URL))
			w.untilDelivered("siem", 10)
			if diff := cmp.Diff(idRange(0, 10), r.got()); diff != "" {
				t.Error(diff)
			}
			if d := w.state("siem"); d.Dead != 0 {
				t.Errorf("state %+v", d)
			}
		})
	}
}

func TestALostAnswerIsSentAgainUnderTheSameKey(t *testing.T) {
	w, r := newWorld(t), newReceiver(t, cut)
	r.after = true
	w.put(0, 10)
	w.start(hook(r.URL))
	w.untilDelivered("siem", 10)
	if diff := cmp.Diff(append(idRange(0, 10), idRange(0, 10)...), r.got()); diff != "" {
		t.Error(diff)
	}
	if r.keys[0] != r.keys[1] || len(r.keys[0]) != 38 {
		t.Errorf("keys %q", r.keys)
	}
}

func TestARestartBetweenTheAnswerAndThePositionRepeatsTheBatch(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	w.put(0, 10)
	// The receiver takes the batch; the relay dies before it stores the position.
	taken := make(chan struct{})
	r.faults, r.after = []http.HandlerFunc{func(_ http.ResponseWriter, req *http.Request) {
		close(taken)
		<-req.Context().Done()
	}}, true
	w.start(hook(r.URL))
	<-taken
	w.crash()
	w.open()
	if d := w.state("siem"); d.Position != 0 {
		t.Fatalf("state %+v", d)
	}
	w.start(hook(r.URL))
	w.untilDelivered("siem", 10)
	if r.keys[0] != r.keys[1] {
		t.Errorf("keys %q", r.keys)
	}
	w.crash()
	w.open()
	w.put(10, 12)
	w.start(hook(r.URL))
	w.untilDelivered("siem", 12)
	if diff := cmp.Diff(append(idRange(0, 10), idRange(0, 12)...), r.got()); diff != "" {
		t.Error(diff)
	}
}

func TestABatchThatIsRefusedTooOftenBecomesDeadLettersAndTheNextGoesOn(t *testing.T) {
	w, r := newWorld(t), newReceiver(t, status(422), status(422), status(422))
	w.put(0, 300)
	w.start(hook(r.URL))
	w.until("siem", "the rest is delivered", func(d store.Delivery) bool { return d.Delivered == 44 && d.Dead == 256 })
	letters, err := w.Dead(t.Context(), "bravo", "siem", 0, 2)
	if err != nil || len(letters) != 2 || letters[0].ID != objectID(0) || !strings.Contains(letters[0].Reason, "422") {
		t.Fatalf("letters %+v, %v", letters, err)
	}
	if n, err := w.Redeliver(t.Context(), "bravo", "siem"); err != nil || n != 256 {
		t.Fatalf("Redeliver: %d, %v", n, err)
	}
	w.until("siem", "nothing is dead", func(d store.Delivery) bool { return d.Delivered == 300 && d.Dead == 0 && d.Queued == 0 })
	if diff := cmp.Diff(append(idRange(256, 300), idRange(0, 256)...), r.got()); diff != "" {
		t.Error(diff)
	}
}

func TestTheOneObjectThatIsTooLargeIsDeadAlone(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		if strings.Contains(string(body), objectID(3)) {
			rw.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, idsOf(t, body)...)
	}))
	t.Cleanup(server.Close)
	w.put(0, 8)
	w.start(hook(server.URL))
	w.until("siem", "seven are there", func(d store.Delivery) bool { return d.Delivered == 7 && d.Dead == 1 })
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(append(idRange(0, 3), idRange(4, 8)...), got); diff != "" {
		t.Error(diff)
	}
}

func TestASlowReceiverHoldsUpNoOther(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		<-req.Context().Done()
	}))
	t.Cleanup(slow.Close)               // waits for its requests
	w, r := newWorld(t), newReceiver(t) // ends before it, and its requests with it
	first := hook(slow.URL)
	first.Name = "slow"
	w.put(0, 10)
	w.start(first, hook(r.URL))
	w.untilDelivered("siem", 10)
	if d := w.state("slow"); d != (store.Delivery{}) {
		t.Errorf("the slow one stands at %+v", d)
	}
}

func TestAReportSaysWhatIsWrongUntilItIsMended(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	d := hook(closed.URL)
	d.Webhook.MaxAttempts = 1000
	w.put(0, 5)
	w.start(d)
	eventually(t, "an error in the report", func() bool {
		list, err := w.ReportDeliveries(t.Context())
		return err == nil && len(list) == 1 && list[0].Error != "" && !list[0].Failing.IsZero() && list[0].Waiting == 5
	})
	w.apply(hook(r.URL))
	w.untilDelivered("siem", 5)
	eventually(t, "no error in the report", func() bool {
		list, err := w.ReportDeliveries(t.Context())
		return err == nil && len(list) == 1 && list[0].Error == ""
	})
}

func TestADeliveryThatIsTakenAwayEnds(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	w.put(0, 1)
	w.start(hook(r.URL))
	w.untilDelivered("siem", 1)
	w.apply()
	w.put(1, 2)
	list, err := w.ReportDeliveries(t.Context())
	if err != nil || len(list) != 0 {
		t.Errorf("report %+v, %v", list, err)
	}
	w.crash()
	if len(r.got()) != 1 {
		t.Errorf("received %d", len(r.got()))
	}
}

func TestPausesGrow(t *testing.T) {
	for failures, most := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 50: longestPause, 5000: longestPause} {
		if got := pause(failures); got > most || got < most/2 {
			t.Errorf("after %d failures %v, want %v to %v", failures, got, most/2, most)
		}
	}
}

func TestAnUnknownDeliveryIsNotFound(t *testing.T) {
	w := newWorld(t)
	w.apply(hook("http://192.0.2.1"), config.Delivery{Name: "misp", MISP: &config.MISPDelivery{}})
	for _, name := range []string{"other", "misp"} {
		if _, err := w.Redeliver(t.Context(), "bravo", name); err == nil {
			t.Errorf("%s can be delivered again", name)
		}
	}
}
