// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func named(name string, age time.Duration) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "cert", Name: name, CreationTimestamp: metav1.NewTime(noon.Add(-age))}
}

func local() *v1alpha1.LocalCERT {
	return &v1alpha1.LocalCERT{
		ObjectMeta: named("alfa", time.Hour),
		Spec:       v1alpha1.LocalCERTSpec{Identity: v1alpha1.Identity{DisplayName: "CERT Alfa", TrustDomain: "alfa.example"}},
	}
}

func peer(name, trustDomain string, age time.Duration) v1alpha1.PeerCERT {
	return v1alpha1.PeerCERT{
		ObjectMeta: named(name, age),
		Spec: v1alpha1.PeerCERTSpec{
			Identity:  v1alpha1.Identity{DisplayName: "CERT " + name, TrustDomain: trustDomain},
			Endpoints: []v1alpha1.Endpoint{{Address: "relay." + trustDomain + ":8443"}},
			State:     v1alpha1.PeerActive,
		},
	}
}

func export(name string, peers ...string) v1alpha1.SharedFeed {
	f := v1alpha1.SharedFeed{ObjectMeta: named(name, time.Minute), Spec: v1alpha1.SharedFeedSpec{
		Direction: v1alpha1.FeedExport,
		Export: &v1alpha1.FeedExportSpec{
			Sources: []v1alpha1.FeedSource{{Name: "attack", UnmarkedAs: v1alpha1.TLPClear}},
			Rule:    v1alpha1.FeedRule{MaxTLP: v1alpha1.TLPGreen, Types: []string{"malware", "indicator"}},
		},
	}}
	for _, p := range peers {
		f.Spec.Export.PeerRefs = append(f.Spec.Export.PeerRefs, v1alpha1.PeerReference{Name: p})
	}
	return f
}

func imported(name, from string) v1alpha1.SharedFeed {
	return v1alpha1.SharedFeed{ObjectMeta: named(name, time.Minute), Spec: v1alpha1.SharedFeedSpec{
		Direction: v1alpha1.FeedImport,
		Import:    &v1alpha1.FeedImportSpec{PeerRef: v1alpha1.PeerReference{Name: from}, Collection: "threats"},
	}}
}

func hotline(name, to string, age time.Duration) v1alpha1.Hotline {
	return v1alpha1.Hotline{ObjectMeta: named(name, age), Spec: v1alpha1.HotlineSpec{PeerRef: v1alpha1.PeerReference{Name: to}}}
}

func bundle(t *testing.T, trustDomain string) Bundle {
	t.Helper()
	return Bundle{PEM: testca.New(t, trustDomain).Bundle()}
}

func TestAssemble(t *testing.T) {
	in := Input{
		Local: local(),
		Peers: []v1alpha1.PeerCERT{
			peer("charlie", "charlie.example", time.Minute),
			peer("bravo", "bravo.example", time.Minute),
			peer("young-bravo", "bravo.example", time.Second),
			peer("ourselves", "alfa.example", time.Minute),
			peer("no-bundle", "delta.example", time.Minute),
			peer("bad-bundle", "echo.example", time.Minute),
		},
		Bundles: map[string]Bundle{
			"charlie":     bundle(t, "charlie.example"),
			"bravo":       bundle(t, "bravo.example"),
			"young-bravo": bundle(t, "bravo.example"),
			"ourselves":   bundle(t, "alfa.example"),
			"no-bundle":   {Missing: "there is no ConfigMap"},
			"bad-bundle":  {PEM: "damaged"},
		},
		Feeds: []v1alpha1.SharedFeed{
			export("threats", "bravo", "nobody", "bad-bundle"), export("to-nobody", "nobody"),
			imported("from-charlie", "charlie"), imported("from-nobody", "nobody"),
		},
		Hotlines: []v1alpha1.Hotline{
			hotline("second", "bravo", time.Second), hotline("first", "bravo", time.Minute), hotline("nobody", "nobody", time.Minute),
		},
	}
	c := Assemble(in)
	file, err := config.Encode(c)
	if err != nil {
		t.Fatalf("the relay would refuse it: %v", err)
	}
	type summary struct {
		Peers, Imports, Hotlines []string
		Exports                  map[string][]string
	}
	got := summary{Exports: map[string][]string{}}
	for _, p := range c.Peers {
		got.Peers = append(got.Peers, p.Name)
	}
	for _, e := range c.Exports {
		got.Exports[e.Name] = e.Peers
	}
	for _, i := range c.Imports {
		got.Imports = append(got.Imports, i.Name)
	}
	for _, h := range c.Hotlines {
		got.Hotlines = append(got.Hotlines, h.Name)
	}
	want := summary{
		Peers:    []string{"bravo", "charlie"},
		Exports:  map[string][]string{"threats": {"bravo"}, "to-nobody": {}},
		Imports:  []string{"from-charlie"},
		Hotlines: []string{"first"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is good and what is bad was told apart otherwise (-want +got):\n%s", diff)
	}

	t.Run("the_order_of_what_is_listed_does_not_show", func(t *testing.T) {
		in.Peers[0], in.Peers[1] = in.Peers[1], in.Peers[0]
		in.Feeds[0], in.Feeds[3] = in.Feeds[3], in.Feeds[0]
		in.Hotlines[0], in.Hotlines[1] = in.Hotlines[1], in.Hotlines[0]
		again, err := config.Encode(Assemble(in))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(file), string(again)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestFaults(t *testing.T) {
	all := func(string) bool { return true }
	none := func(string) bool { return false }
	good, goodBundle := peer("bravo", "bravo.example", time.Minute), bundle(t, "bravo.example")
	young := peer("young", "bravo.example", time.Second)
	own := peer("own", "alfa.example", time.Minute)
	first, second := hotline("first", "bravo", time.Minute), hotline("second", "bravo", time.Second)
	feed, broken := export("threats", "bravo"), export("broken", "bravo")
	broken.Spec.Export.Rule.Types = []string{"NOT A TYPE"}
	for name, tc := range map[string]struct {
		fault func() (reason, message string)
		want  string
		says  string
	}{
		"a_good_peer":         {reasonOf(PeerFault(&good, local(), goodBundle, []v1alpha1.PeerCERT{good, young})), "", ""},
		"our_own_name":        {reasonOf(PeerFault(&own, local(), goodBundle, nil)), v1alpha1.ReasonOwnTrustDomain, "alfa"},
		"the_younger_of_two":  {reasonOf(PeerFault(&young, local(), goodBundle, []v1alpha1.PeerCERT{good, young})), v1alpha1.ReasonPeerNotUnique, `"bravo"`},
		"no_bundle":           {reasonOf(PeerFault(&good, local(), Bundle{Missing: "it is not there"}, nil)), v1alpha1.ReasonBundleNotFound, "it is not there"},
		"a_bad_bundle":        {reasonOf(PeerFault(&good, local(), Bundle{PEM: "x"}, nil)), v1alpha1.ReasonBundleInvalid, "fingerprint"},
		"a_good_feed":         {reasonOf(FeedFault(&feed, all, all)), "", ""},
		"a_feed_to_nobody":    {reasonOf(FeedFault(&feed, none, none)), v1alpha1.ReasonPeerNotFound, `"bravo"`},
		"a_feed_that_waits":   {reasonOf(FeedFault(&feed, all, none)), v1alpha1.ReasonPeerNotReady, `"bravo"`},
		"a_feed_nobody_runs":  {reasonOf(FeedFault(&broken, all, all)), v1alpha1.ReasonSpecInvalid, "types[0]"},
		"a_good_hotline":      {reasonOf(HotlineFault(&first, []v1alpha1.Hotline{first, second}, all, all)), "", ""},
		"the_second_hotline":  {reasonOf(HotlineFault(&second, []v1alpha1.Hotline{first, second}, all, all)), v1alpha1.ReasonHotlineNotUnique, `"first"`},
		"a_hotline_to_nobody": {reasonOf(HotlineFault(&first, nil, none, none)), v1alpha1.ReasonPeerNotFound, `"bravo"`},
	} {
		t.Run(name, func(t *testing.T) {
			reason, message := tc.fault()
			if reason != tc.want || !strings.Contains(message, tc.says) {
				t.Errorf("got %s: %s; want %s with %q", reason, message, tc.want, tc.says)
			}
		})
	}
}

func reasonOf(v *status.Verdict) func() (string, string) {
	return func() (string, string) {
		if v == nil {
			return "", ""
		}
		return v.Reason, v.Message
	}
}

func TestOneSpellingOfABundle(t *testing.T) {
	b := bundle(t, "bravo.example").PEM
	p := peer("bravo", "bravo.example", 0)
	if diff := cmp.Diff(Peer(&p, b), Peer(&p, "# bravo\n"+b+"\n\n"+b)); diff != "" {
		t.Errorf("a comment and a repetition change the configuration:\n%s", diff)
	}
}

func TestPeerCarriesWhatThePeerCERTDeclares(t *testing.T) {
	n := func(v int32) *int32 { return &v }
	p := peer("bravo", "bravo.example", time.Minute)
	p.Spec.State = v1alpha1.PeerDrained
	p.Spec.Trust.Rotation = v1alpha1.RotationManual
	p.Spec.Detection = v1alpha1.DetectionBudget{IntervalMilliseconds: n(50), Misses: n(100)}
	p.Spec.Limits = v1alpha1.PeerLimits{TunnelConnections: n(16), TunnelKibibytesPerSecond: n(104_857_600), TransitKibibytesPerSecond: n(1_048_576)}
	pem := bundle(t, "bravo.example").PEM
	got := Peer(&p, pem)
	want := config.Peer{
		Name: "bravo", TrustDomain: "bravo.example", DisplayName: "CERT bravo", Bundle: pem,
		Endpoints: []config.Endpoint{{Address: "relay.bravo.example:8443"}},
		Rotation:  config.Manual, State: config.Drained,
		Detection: config.Detection{IntervalMilliseconds: 50, Misses: 100},
		Limits:    config.Limits{TunnelConnections: 16, TunnelBytesPerSecond: 100 << 30, TransitBytesPerSecond: 1 << 30},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if fault := PeerFault(&p, local(), Bundle{PEM: pem}, nil); fault != nil {
		t.Errorf("what the API server lets through is refused: %+v", fault)
	}
}

func TestOurBundleIsThatOfTheRotation(t *testing.T) {
	own := testca.New(t, "alfa.example").Bundle()
	for _, want := range []string{"", own} {
		c := Assemble(Input{Local: local(), OwnBundle: want})
		if _, err := config.Encode(c); err != nil || c.Identity.Bundle != want {
			t.Errorf("got %q, %v", c.Identity.Bundle, err)
		}
	}
}

func TestOlder(t *testing.T) {
	a, b := hotline("a", "x", time.Minute), hotline("b", "x", time.Minute)
	old := hotline("z", "x", time.Hour)
	if !Older(&a, &b) || Older(&b, &a) || !Older(&old, &a) || Older(&a, &old) {
		t.Error("age, then name, does not decide")
	}
}
