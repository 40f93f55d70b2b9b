// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	wire "github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/linecheck"
	"github.com/certlink/certlink/test/scenario"
)

// lineChecked waits until both sides show something of their hotline.
func lineChecked(t *testing.T, limit time.Duration, what string, look func(h v1alpha1.Hotline) error) {
	t.Helper()
	err := both(within(t, limit), func(ctx context.Context, p, other *scenario.Party) error {
		return scenario.Poll(ctx, p.Name+" shows "+what, func(ctx context.Context) error {
			var list v1alpha1.HotlineList
			if err := p.Client.List(ctx, &list, client.InNamespace(p.Key(other.Name).Namespace)); err != nil {
				return err
			}
			for _, h := range list.Items {
				if h.Spec.PeerRef.Name == other.Name {
					return look(h)
				}
			}
			return fmt.Errorf("%s has no hotline to %s", p.Name, other.Name)
		})
	})
	must(t, err)
}

// checkOften sets the schedule of both hotlines.
func checkOften(ctx context.Context, checks *v1alpha1.HotlineLineChecks) error {
	return both(ctx, func(ctx context.Context, p, other *scenario.Party) error {
		var list v1alpha1.HotlineList
		if err := p.Client.List(ctx, &list, client.InNamespace(p.Key(other.Name).Namespace)); err != nil {
			return err
		}
		for i := range list.Items {
			h := &list.Items[i]
			if h.Spec.PeerRef.Name != other.Name {
				continue
			}
			before := h.DeepCopy()
			h.Spec.LineChecks = checks
			if err := p.Client.Patch(ctx, h, client.MergeFrom(before)); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestLineChecksNameAPathThatIsCut checks both paths of each side in both directions, cuts
// one, and sees it named within the declared time.
func TestLineChecksNameAPathThatIsCut(t *testing.T) {
	if !needsHarness(t, "cutting paths apart") {
		return
	}
	connected(t)
	noPathDown(t)
	cleanup(t, scenario.Restore)
	interval, missed := int32(10), int32(20)
	must(t, checkOften(within(t, patience), &v1alpha1.HotlineLineChecks{IntervalSeconds: &interval, MissedAfterSeconds: &missed}))
	cleanup(t, func(ctx context.Context) error { return checkOften(ctx, nil) })
	good := func(h v1alpha1.Hotline) error {
		if len(h.Status.LineChecks) != 4 {
			return fmt.Errorf("it has %d paths: %+v", len(h.Status.LineChecks), h.Status.LineChecks)
		}
		return scenario.All(h.Status.Conditions, h.Generation, scenario.True(v1alpha1.ConditionLineChecked)...)
	}
	lineChecked(t, patience, "that every path is checked", good)
	cut := ways(t)[1]
	must(t, cut.cut(t.Context()))
	start := time.Now()
	lineChecked(t, time.Duration(missed+interval)*time.Second+10*time.Second, "the path that is cut", func(h v1alpha1.Hotline) error {
		return names(h, cut.address)
	})
	t.Logf("both sides name %s %.1fs after the cut", cut, time.Since(start).Seconds())
	must(t, scenario.Restore(t.Context()))
	lineChecked(t, patience, "that every path is checked again", good)
	recordOf(t, cut.address, start)
	settled(t)
}

// names says whether a hotline names a path that is cut: LineChecked is False, the path is
// missed in both directions, and the message names it, or another that is missed, too, as
// on a machine that is too busy to check within ten seconds.
func names(h v1alpha1.Hotline, cut string) error {
	var missed []string
	var named, both bool
	for _, c := range h.Status.LineChecks {
		_, address, _ := strings.Cut(c.Label, " ")
		if c.Sent == v1alpha1.LineMissed || c.Received == v1alpha1.LineMissed {
			missed = append(missed, address)
		}
		both = both || address == cut && c.Sent == v1alpha1.LineMissed && c.Received == v1alpha1.LineMissed
	}
	for _, c := range h.Status.Conditions {
		named = named || c.Type == v1alpha1.ConditionLineChecked && c.Status == metav1.ConditionFalse &&
			slices.ContainsFunc(missed, func(address string) bool { return strings.Contains(c.Message, address) })
	}
	if !both || !named {
		return fmt.Errorf("the paths are %+v, conditions %+v", h.Status.LineChecks, h.Status.Conditions)
	}
	return nil
}

// recordOf has alfa exchange the record of the month that runs: both sides sign and
// countersign it, bravo reads the same, and alfa's view, which goes beyond the start of the
// cut, has the checks that did not come through. Whether the two agree about a month in which relays were killed is left to them.
func recordOf(t *testing.T, cut string, start time.Time) {
	t.Helper()
	month := time.Now().UTC().Format("2006-01")
	read := func(ctx context.Context, p, other *scenario.Party, flags ...string) (a wire.Availability, err error) {
		said, err := p.CLI(ctx, nil, append([]string{"hotline", "record", other.Name, "--month", month, "-o", "json"}, flags...)...)
		if err != nil {
			return a, err
		}
		err = json.Unmarshal([]byte(said), &a)
		for _, side := range []*wire.SignedRecord{a.Ours, a.Theirs} {
			if err == nil && (a.Error != "" || side == nil || !side.Verified || !side.CounterVerified) {
				err = fmt.Errorf("the record in the eyes of %s is %s: %+v: %s", p.Name, a.State, side, a.Error)
			}
		}
		return a, err
	}
	// A record goes until 40 s ago, for a check may be under way: that of a cut which was
	// shorter does not tell of it yet.
	ctx := within(t, patience+time.Minute)
	a, err := read(ctx, alfa, bravo, "--now")
	for next := time.Tick(5 * time.Second); err != nil || !tells(t, a, cut, start); a, err = read(ctx, alfa, bravo, "--now") {
		select {
		case <-next: // a peer takes one record in five seconds
		case <-ctx.Done():
			t.Fatalf("nothing is missed over %s in the view of %s: %v: %+v", cut, alfa.Name, err, a)
		}
	}
	b, err := read(ctx, bravo, alfa)
	if must(t, err); string(b.Theirs.Record) != string(a.Ours.Record) {
		t.Errorf("bravo holds another record of alfa:\n%s\n%s", b.Theirs.Record, a.Ours.Record)
	}
	t.Logf("the record of %s: alfa's view agreed to: %t, bravo's: %t", month, a.Ours.Agreed, a.Theirs.Agreed)
}

// tells reports whether one's own record goes beyond the start of a cut, and has checks that
// did not come through over the path.
func tells(t *testing.T, a wire.Availability, cut string, start time.Time) bool {
	t.Helper()
	var r linecheck.Record
	must(t, json.Unmarshal(a.Ours.Record, &r))
	return r.Until.After(start) && slices.ContainsFunc(r.Paths, func(p linecheck.PathRecord) bool { return p.Path.Address == cut && p.Missed > 0 })
}
