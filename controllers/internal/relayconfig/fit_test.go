// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/config"
)

// wide is an export of nearly n KiB.
func wide(name string, age time.Duration, n int) v1alpha1.SharedFeed {
	f := export(name, "bravo")
	f.ObjectMeta = named(name, age)
	f.Spec.Export.Sources = nil
	for i := range n / 2 {
		f.Spec.Export.Sources = append(f.Spec.Export.Sources, v1alpha1.FeedSource{
			Name: fmt.Sprintf("s%d", i),
			Pull: &v1alpha1.FeedPull{STIX: &v1alpha1.RemoteEndpoint{URL: "https://misp.alfa.example/" + strings.Repeat("x", 2000)}},
		})
	}
	return f
}

func TestWhatIsTooMuchForTheFileStaysOutTheYoungestFirst(t *testing.T) {
	in := Input{
		Local: local(), Peers: []v1alpha1.PeerCERT{peer("bravo", "bravo.example", time.Hour)},
		Bundles:  map[string]Bundle{"bravo": bundle(t, "bravo.example")},
		Hotlines: []v1alpha1.Hotline{hotline("bravo", "bravo", 0)},
	}
	for i := range 33 {
		in.Feeds = append(in.Feeds, wide(fmt.Sprintf("f%02d", i), time.Duration(i)*time.Minute, 32))
	}
	got, err := Fit(in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{`SharedFeed "f00"`}, got.Left[:1]); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	if len(got.Left)+len(got.Config.Exports) != 33 || len(got.Left) > 3 || len(got.Config.Hotlines) != 1 || len(got.Config.Peers) != 1 {
		t.Errorf("%d exports, %d hotlines, %d peers; left out: %s", len(got.Config.Exports), len(got.Config.Hotlines), len(got.Config.Peers), got.Left)
	}
	if _, err := config.Decode(got.File); err != nil {
		t.Errorf("the relay refuses it: %v", err)
	}
	if fault := got.LeftOut(); fault == nil || fault.Reason != v1alpha1.ReasonConfigTooLarge || !strings.Contains(fault.Message, "f00") {
		t.Errorf("the verdict is %+v", fault)
	}
	in.Feeds = in.Feeds[3:]
	if got, err = Fit(in); err != nil || got.LeftOut() != nil {
		t.Errorf("what fits is left out: %s, %v", got.Left, err)
	}
}

func TestMoreFeedsThanTheRelayTakesKeepNoOtherOut(t *testing.T) {
	in := Input{Local: local(), Peers: []v1alpha1.PeerCERT{peer("bravo", "bravo.example", time.Hour)}, Bundles: map[string]Bundle{"bravo": bundle(t, "bravo.example")}}
	for i := range 1030 {
		f := export(fmt.Sprintf("f%04d", i), "bravo")
		f.ObjectMeta = named(f.Name, time.Duration(i)*time.Minute)
		in.Feeds = append(in.Feeds, f)
	}
	got, err := Fit(in)
	if err != nil || len(got.Config.Exports) != 1024 || len(got.Left) != 6 {
		t.Fatalf("%d left out: %v", len(got.Left), err)
	}
}
