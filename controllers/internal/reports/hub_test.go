// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package reports

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

func TestHub(t *testing.T) {
	ca := testca.New(t, "alfa.example")
	local := testca.Leaf{Path: "/local", DNSNames: []string{serverName}}

	t.Run("a_change_wakes_those_whom_it_is_about", func(t *testing.T) {
		p := play(t, ca, local, nil)
		p.set(func(r *report.Report) {
			r.Peers = []report.Peer{{Name: "bravo"}, {Name: "charlie"}}
			r.Exports = []report.Export{{Name: "threats"}}
		})
		f := follow(t, time.Minute)
		f.Follow("cert", target(t, ca, p.server.Listener.Addr().String()))
		woken := map[string]bool{}
		until(t, "the report is read and all are woken by it", func() bool {
			for _, who := range f.take() {
				woken[who] = true
			}
			return len(woken) == len(kinds)
		})
		p.set(func(r *report.Report) { r.Exports = []report.Export{{Name: "threats", Stored: 1}} })
		until(t, "the feed is woken", func() bool {
			return len(f.View("cert").Report.Exports) == 1 && f.View("cert").Report.Exports[0].Stored == 1
		})
		until(t, "someone is woken", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.woken) > 0 })
		if diff := cmp.Diff([]string{"SharedFeed cert/threats"}, f.take()); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("a_short_silence_is_no_news", func(t *testing.T) {
		p := play(t, ca, local, nil)
		address := p.server.Listener.Addr().String()
		f := follow(t, time.Minute)
		f.Follow("cert", target(t, ca, address))
		until(t, "the report is read", func() bool { return f.View("cert").Contact == Reached })
		p.stop()
		until(t, "the silence is noticed", func() bool { return f.View("cert").Error != "" })
		if v := f.View("cert"); v.Contact != Reached {
			t.Errorf("contact is %v", v.Contact)
		}
		var l net.Listener
		until(t, "nobody else uses the port", func() (free bool) {
			var err error
			l, err = net.Listen("tcp", address)
			return err == nil
		})
		play(t, ca, local, l)
		until(t, "the relay is back", func() bool { return f.View("cert").Error == "" })
	})

	t.Run("a_long_silence_is", func(t *testing.T) {
		const patience = time.Hour
		f := follow(t, patience)
		f.Follow("cert", target(t, ca, "127.0.0.1:1"))
		until(t, "the silence is noticed", func() bool { return f.View("cert").Error != "" })
		if c := f.View("cert").Contact; c != Calling {
			t.Errorf("contact is %v at first", c)
		}
		f.ahead.Store(int64(patience))
		until(t, "the relay is lost", func() bool { return f.View("cert").Contact == Lost })
		until(t, "everybody is woken", func() bool { return slices.Contains(f.take(), "Hotline cert/*") })
	})

	for name, leaf := range map[string]testca.Leaf{
		"a_certificate_of_another_role":         {Path: "/relay", DNSNames: []string{serverName}},
		"a_certificate_of_another_trust_domain": {Path: "/local", TrustDomain: "bravo.example", DNSNames: []string{serverName}},
		"a_certificate_for_another_name":        {Path: "/local", DNSNames: []string{"other.cert.svc"}},
		"a_certificate_without_a_name":          {DNSNames: []string{serverName}},
	} {
		t.Run("does_not_believe_"+name, func(t *testing.T) {
			p := play(t, ca, leaf, nil)
			f := follow(t, time.Millisecond)
			f.Follow("cert", target(t, ca, p.server.Listener.Addr().String()))
			until(t, "it is refused", func() bool { return f.View("cert").Error != "" })
			if v := f.View("cert"); v.Report != nil {
				t.Errorf("the report of a stranger was believed: %+v", v.Report)
			}
		})
	}

	t.Run("a_relay_that_is_dropped_is_left_alone", func(t *testing.T) {
		p := play(t, ca, local, nil)
		f := follow(t, time.Minute)
		f.Follow("cert", target(t, ca, p.server.Listener.Addr().String()))
		until(t, "the report is read", func() bool { return f.View("cert").Contact == Reached })
		f.Drop("cert", "another")
		if f.View("cert").Contact != Reached {
			t.Error("it was dropped for another LocalCERT")
		}
		f.Drop("cert", "alfa")
		if diff := cmp.Diff(View{}, f.View("cert")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReaderIsBounded(t *testing.T) {
	ca := testca.New(t, "alfa.example")
	answers := map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a_report_without_end":      {func(w http.ResponseWriter, _ *http.Request) { flood(w) }, "more than"},
		"what_is_not_a_report":      {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }, "reading the report"},
		"a_report_without_revision": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }, "revision"},
		"an_error":                  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "403"},
		"a_redirect_to_another_host": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		}, "302"},
	}
	for name, tc := range answers {
		t.Run(name, func(t *testing.T) {
			roots := x509.NewCertPool()
			roots.AddCert(ca.Root)
			server := httptest.NewUnstartedServer(tc.answer)
			server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Leaf(t, testca.Leaf{Path: "/local", DNSNames: []string{serverName}}).TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots}
			server.StartTLS()
			defer server.Close()
			to := target(t, ca, server.Listener.Addr().String())
			r, err := newReader(&to)
			if err != nil {
				t.Fatal(err)
			}
			defer r.close()
			if _, err := r.read(t.Context(), ""); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func flood(w http.ResponseWriter) {
	chunk := make([]byte, 1<<20)
	for {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func TestStanding(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	wanted := &config.Config{Hotlines: []config.Hotline{{Name: "bravo"}}}
	older := &config.Config{}
	pick := func(c *config.Config) (config.Hotline, bool) {
		if len(c.Hotlines) == 0 {
			return config.Hotline{}, false
		}
		return c.Hotlines[0], true
	}
	view := func(live *config.Config, ago time.Duration, rejected string) View {
		return View{
			Contact: Reached, Wanted: wanted, Checksum: "new", WrittenAt: noon.Add(-ago), Live: live,
			Report: &report.Report{Config: report.ConfigState{RejectedChecksum: rejected, Error: "peers[0]: no"}},
		}
	}
	for name, tc := range map[string]struct {
		view     View
		wasReady bool
		fate     status.Fate
		reason   string
	}{
		"carried":                            {view(wanted, time.Hour, ""), false, status.Done, "Reconciled"},
		"carried_though_others_changed":      {view(&config.Config{Hotlines: wanted.Hotlines, Peers: []config.Peer{{}}}, 0, ""), false, status.Done, "Reconciled"},
		"on_its_way":                         {view(older, time.Second, ""), false, status.Working, "Progressing"},
		"on_its_way_for_what_was_Ready":      {view(older, time.Second, ""), true, status.Same, "Pending"},
		"too_long_on_its_way":                {view(older, time.Minute, ""), true, status.Working, "RelayOutdated"},
		"refused":                            {view(older, time.Second, "new"), true, status.Working, "RelayRejectedConfig"},
		"an_older_refusal_is_history":        {view(older, time.Second, "old"), false, status.Working, "Progressing"},
		"a_relay_with_what_nobody_remembers": {view(nil, time.Second, ""), true, status.Same, "Pending"},
		"not_asked_yet":                      {View{}, true, status.Same, "Pending"},
		"being_called":                       {View{Contact: Calling}, true, status.Same, "Pending"},
		"lost":                               {View{Contact: Lost, Error: "refused"}, true, status.Blind, "RelayUnreachable"},
		"not_there_yet":                      {View{Contact: Undeployed}, false, status.Working, "Progressing"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := Standing(tc.view, wanted.Hotlines[0], pick, tc.wasReady, noon)
			if got.Fate != tc.fate || got.Reason != tc.reason || got.Message == "" {
				t.Errorf("got %+v, want %v for %s", got, tc.fate, tc.reason)
			}
		})
	}
}

func TestCompareKnowsWhatIsNews(t *testing.T) {
	base := report.Report{
		Peers:    []report.Peer{{Name: "bravo", Paths: []report.PathState{{Address: "a", RoundTripMilliseconds: 1}}}},
		Hotlines: []report.Hotline{{Name: "line"}},
	}
	round := base
	round.Peers = []report.Peer{{Name: "bravo", Paths: []report.PathState{{Address: "a", RoundTripMilliseconds: 9}}}}
	if got := compare(&base, &round); len(got) > 0 {
		t.Errorf("a round trip is news to %v", got)
	}
	gone := base
	gone.Hotlines = nil
	if got := compare(&base, &gone); len(got[Hotlines]) != 1 || len(got[PeerCERTs]) != 0 {
		t.Errorf("a hotline that is gone is news to %v", got)
	}
	bound := base
	bound.Services = []report.Service{{Name: "misp", Import: true, Listening: true}}
	if got := compare(&base, &bound); len(got[SharedServices]) != 1 || len(got) != 1 {
		t.Errorf("a port that is open is news to %v", got)
	}
	down := base
	down.Peers = []report.Peer{{Name: "bravo", Outbound: report.Direction{State: report.Down}}}
	if got := compare(&base, &down); len(got[SharedServices]) != 1 || len(got[Hotlines]) != 1 {
		t.Errorf("a link that is down is news to %v", got)
	}
	offered := func(at time.Duration, version int32) *report.Report {
		r := base
		r.Peers = []report.Peer{{Name: "bravo", Offer: &report.Offer{ReceivedAt: time.Unix(0, 0).Add(at), Version: version}}}
		return &r
	}
	if got := compare(offered(0, 1), offered(time.Minute, 1)); len(got) > 0 {
		t.Errorf("a renewed offer is news to %v", got)
	}
	if got := compare(offered(0, 1), offered(10*time.Minute, 1)); len(got[PeerCERTs]) != 1 {
		t.Errorf("an offer after a gap is news to %v", got)
	}
	if got := compare(offered(0, 1), offered(time.Minute, 2)); len(got[PeerCERTs]) != 1 || len(got[SharedFeeds]) != 1 || len(got[Hotlines]) != 1 {
		t.Errorf("an offer that says something else is news to %v", got)
	}
	rooted := base
	rooted.Identity.Roots = []string{"new"}
	if got := compare(&base, &rooted); len(got[PeerCERTs]) != 1 {
		t.Errorf("another CA certificate of ours is news to %v", got)
	}
	restarted := base
	restarted.StartedAt = time.Unix(1, 0)
	if got := compare(&base, &restarted); len(got) != 5 {
		t.Errorf("a restart is news to %v", got)
	}
}
