// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
)

// A server may take sender and receivers, read the whole mail, and then refuse it: for good (a filter), or for now.
func TestAMailThatIsRefusedOnceItWasReadCountsAsNotSent(t *testing.T) {
	for _, code := range []int{554, 552, 451} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			p := newPostOffice(t, plain, func(p *postOffice) { p.rejects = code })
			n := mustNotifier(t, mailTo(t, p, config.MailPlainLoopback, nil))
			err := n.Notify(t.Context(), silent())
			if err == nil || LayerOf(err) != LayerServer || !strings.Contains(Explain(err), fmt.Sprintf("(%d)", code)) {
				t.Errorf("%q, %v", Explain(err), err)
			}
			if _, _, _, err := p.one(); err == nil {
				t.Error("there is a mail")
			}
		})
	}
}

// mute is a server that takes a request and does not answer, or answers without an end. Its notifier is
// given up by whoever asks it, as by its own deadline.
func mute(t *testing.T, answer func(w http.ResponseWriter)) (url string, heard, gone chan struct{}) {
	t.Helper()
	heard, gone = make(chan struct{}, 1), make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else nobody looks for whether the client has gone
		answer(w)
		tell(heard)
		<-r.Context().Done()
		tell(gone)
	}))
	t.Cleanup(s.Close)
	return s.URL, heard, gone
}

func tell(of chan struct{}) {
	select {
	case of <- struct{}{}:
	default:
	}
}

func TestAReceiverThatHangsHoldsNobodyUp(t *testing.T) {
	answers := map[string]func(w http.ResponseWriter){
		"and_says_nothing": func(http.ResponseWriter) {},
		"within_a_failure": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusInternalServerError)
			_ = http.NewResponseController(w).Flush()
		},
	}
	for name, answer := range answers {
		for _, kind := range []string{"webhook", "alertmanager"} {
			t.Run(kind+"_"+name, func(t *testing.T) {
				t.Parallel()
				url, heard, gone := mute(t, answer)
				c := config.Notifier{Name: "n", Webhook: &config.NotifyWebhook{Remote: config.Remote{URL: url}}}
				if kind == "alertmanager" {
					c = config.Notifier{Name: "n", Alertmanager: &config.Alertmanager{Servers: []config.Remote{{URL: url}}}}
				}
				n := mustNotifier(t, c)
				endsWhenCancelled(t, n, heard, gone, serverTimeout)
			})
		}
	}
}

// One member of a cluster that hangs keeps no other from being told, nor makes of it a failure.
func TestAnAlertmanagerThatHangsBesideOneThatTakesItIsNoFailure(t *testing.T) {
	url, _, _ := mute(t, func(http.ResponseWriter) {})
	good := newReceiver(t)
	n := mustNotifier(t, config.Notifier{Name: "n", Alertmanager: &config.Alertmanager{Servers: []config.Remote{
		{URL: url}, {URL: good.URL, Directory: directory(t, map[string]string{"ca.crt": good.ca})},
	}}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- n.Notify(ctx, silent()) }()
	for told := 0; told == 0; <-time.After(time.Millisecond) {
		good.mu.Lock()
		told = len(good.bodies)
		good.mu.Unlock()
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("one of two took it: %v", err)
	}
}
