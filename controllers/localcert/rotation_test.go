// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/cabundle"
)

func anything(*v1alpha1.LocalCERT) {}

func generation(n int32) func(*v1alpha1.LocalCERT) {
	return func(l *v1alpha1.LocalCERT) { l.Spec.Authority.Generation = &n }
}

// settled is alfa in peace with its peers.
func settled(t *testing.T, change func(*v1alpha1.LocalCERT), issuer string, peers ...string) *world {
	t.Helper()
	w := newWorld(t, change, peers...)
	w.until("alfa is in peace", inOrder, w.done(issuer))
	return w
}

func TestARaisedGenerationReplacesTheRootWithoutAnOutage(t *testing.T) {
	w := settled(t, anything, "alfa-ca", "bravo", "charlie")
	before := w.local().Status
	w.calm = true
	w.quiet()
	w.edit(generation(2))
	w.until("the root is replaced", inOrder, w.done("alfa-ca-2"))
	after := w.local().Status
	if after.Authority.Root == before.Authority.Root || after.Authority.ReplacedRoot != before.Authority.Root || after.Fingerprint == before.Fingerprint {
		t.Errorf("unexpected status: %+v", after.Authority)
	}
	for _, step := range []string{"Distribute", "Issue", "Retire"} {
		if !w.seen[step] {
			t.Errorf("there was no step %s", step)
		}
	}
	w.quiet()
	for _, kind := range []string{"Certificate", "Secret", "Issuer"} {
		if w.there(kind, "alfa-ca") {
			t.Errorf("%s alfa-ca is still there", kind)
		}
		if !w.there(kind, "alfa-ca-2") {
			t.Errorf("%s alfa-ca-2 is gone", kind)
		}
	}
}

func TestARotationInAnyOrderOfStepsIsWithoutAnOutage(t *testing.T) {
	for seed := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, 1))
		shuffle := func(steps []func()) {
			random.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
		}
		w := settled(t, anything, "alfa-ca", "bravo", "charlie")
		w.calm = true
		w.edit(generation(2))
		w.until("the root is replaced", shuffle, w.done("alfa-ca-2"))
		w.quiet()
	}
}

// TestAnOperatorKilledAtAPhaseEdgeGoesOnWhereItWas kills the operator before and
// after each write of a status and each deletion, and at the write that follows; the
// one that comes after it remembers nothing.
func TestAnOperatorKilledAtAPhaseEdgeGoesOnWhereItWas(t *testing.T) {
	finish := func(w *world, also func()) {
		w.until("the root is replaced", inOrder, func() bool {
			also()
			return w.done("alfa-ca-2")() && !w.there("Issuer", "alfa-ca")
		})
		if w.there("Secret", "alfa-ca") || w.there("Certificate", "alfa-ca") {
			t.Error("the old CA is still there")
		}
	}
	w := settled(t, anything, "alfa-ca", "bravo")
	before := len(w.writes)
	w.edit(generation(2))
	var rounds []*world // as they begin
	finish(w, func() { rounds = append(rounds, w.copy()) })
	edges := 0
	for i, what := range w.writes[before:] {
		if what == "apply" && (i == 0 || w.writes[before+i-1] == "apply") {
			continue
		}
		edges++
		for len(rounds) > 1 && len(rounds[1].writes) <= before+i {
			rounds = rounds[1:]
		}
		for _, afterwards := range []bool{false, true} {
			killed := rounds[0].copy()
			killed.crash, killed.afterwards = before+i+1, afterwards
			finish(killed, func() {})
			if killed.kills != 1 {
				t.Errorf("the operator was killed %d times at write %d, %q", killed.kills, i, what)
			}
		}
	}
	if edges < 7 { // four statuses, three deletions
		t.Errorf("only %d edges in %v", edges, w.writes[before:])
	}
}

func TestAnOperatorThatIsKilledAtEveryWriteStillGetsThere(t *testing.T) {
	for name, afterwards := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, anything, "alfa-ca", "bravo")
			w.always, w.afterwards = true, afterwards
			w.edit(generation(2))
			order := func([]func()) { // a killed one is started again at once
				for range 3 {
					w.visit()
				}
			}
			w.until("the root is replaced", order, w.done("alfa-ca-2"))
			w.always = false
			w.quiet()
			if w.there("Secret", "alfa-ca") {
				t.Error("the old key is still there")
			}
		})
	}
}

func TestARotationWaitsForAPeerThatIsAwayAndWritesNothingMeanwhile(t *testing.T) {
	w := settled(t, anything, "alfa-ca", "bravo", "charlie")
	w.peers["charlie"].online = false
	w.edit(generation(2))
	w.until("the step is Distribute", inOrder, func() bool { return w.seen["Distribute"] })
	w.quiet()
	l := w.local()
	if l.Status.Rotation == nil || l.Status.Rotation.Step != v1alpha1.StepDistribute || !strings.Contains(l.Status.Rotation.WaitingFor, "charlie") ||
		strings.Contains(l.Status.Rotation.WaitingFor, "bravo") {
		t.Fatalf("it does not wait for charlie: %s", describeStatus(l))
	}
	want := []v1alpha1.RotationPeer{{Name: "bravo", State: v1alpha1.PeerAccepted}, {Name: "charlie", State: v1alpha1.PeerWaiting}}
	if diff := cmp.Diff(want, l.Status.Rotation.Peers); diff != "" {
		t.Error(diff)
	}
	if got := w.reason("CertificatesIssued") + " " + w.reason("TrustInSync"); got != "True/CertificatesIssued False/DistributingRoot" {
		t.Errorf("conditions: %s", got)
	}
	w.clock = w.clock.Add(25 * time.Hour)
	w.quiet()
	if got := w.reason("TrustInSync"); got != "False/RotationStalled" {
		t.Errorf("after a day: %s", got)
	}
	t.Run("and_goes_on_when_it_is_back", func(t *testing.T) {
		w.peers["charlie"].online = true
		w.until("the root is replaced", inOrder, w.done("alfa-ca-2"))
	})
}

func TestWhoeverIsLeftBehindRevokedOrGoneIsNotWaitedFor(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *world){
		"left_behind": func(_ *testing.T, w *world) {
			w.edit(func(l *v1alpha1.LocalCERT) { l.Spec.Authority.LeaveBehind = []string{"charlie"} })
		},
		"revoked": func(t *testing.T, w *world) {
			w.editPeer("charlie", func(p *v1alpha1.PeerCERT) { p.Spec.State = v1alpha1.PeerRevoked })
		},
		"deleted": func(t *testing.T, w *world) {
			p := &v1alpha1.PeerCERT{ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "charlie"}}
			if err := w.raw.Delete(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, anything, "alfa-ca", "bravo", "charlie")
			w.peers["charlie"].online = false
			w.edit(generation(2))
			w.quiet()
			change(t, w)
			w.until("the root is replaced", inOrder, func() bool {
				a := w.local().Status.Authority
				return w.local().Status.Rotation == nil && a.Generation == 2
			})
		})
	}
}

// A PeerCERT that is no part of the relay's configuration can never answer: the
// message must not send people to look for a peer that is away.
func TestAPeerThatOurRelayDoesNotHaveIsNamedAsSuch(t *testing.T) {
	w := settled(t, anything, "alfa-ca", "bravo")
	w.create(&v1alpha1.PeerCERT{
		ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "charlie"},
		Spec: v1alpha1.PeerCERTSpec{
			Identity: v1alpha1.Identity{DisplayName: "charlie", TrustDomain: "charlie.example"}, Trust: v1alpha1.PeerTrust{Bundle: "none"},
		},
	})
	w.edit(generation(2))
	w.quiet()
	if r := w.local().Status.Rotation; r == nil || !strings.Contains(r.WaitingFor, "our relay does not have peer charlie, see the condition Ready") {
		t.Errorf("unexpected: %s", describeStatus(w.local()))
	}
}

func TestASuspendedPeerIsWaitedFor(t *testing.T) {
	w := settled(t, anything, "alfa-ca", "bravo", "charlie")
	w.editPeer("charlie", func(p *v1alpha1.PeerCERT) { p.Spec.State = v1alpha1.PeerSuspended })
	w.peers["charlie"].online = false
	w.edit(generation(2))
	w.quiet()
	if r := w.local().Status.Rotation; r == nil || !strings.Contains(r.WaitingFor, "charlie") {
		t.Errorf("it goes on without charlie: %s", describeStatus(w.local()))
	}
}

func TestAPeerWithRotationManualIsWaitedForUntilAPersonThereAccepts(t *testing.T) {
	w := settled(t, anything, "alfa-ca", "bravo")
	w.peers["bravo"].manual = true
	w.edit(generation(2))
	w.quiet()
	r := w.local().Status.Rotation
	if r == nil || r.Step != v1alpha1.StepDistribute || !strings.Contains(r.WaitingFor, "Manual") {
		t.Fatalf("it does not wait: %s", describeStatus(w.local()))
	}
	w.peers["bravo"].accepted = append(w.peers["bravo"].accepted, r.ToRoot) // both, as the new card has it
	w.until("the root is replaced", inOrder, func() bool {                  // it still accepts the old one, too
		w.clock = w.clock.Add(time.Minute)
		return w.local().Status.Rotation == nil && w.local().Status.Authority.Generation == 2
	})
}

func TestAStatusThatIsLostDuringARotationIsNoOutage(t *testing.T) {
	for _, step := range []string{"Distribute", "Issue", "Retire"} {
		t.Run(step, func(t *testing.T) {
			w := settled(t, anything, "alfa-ca", "bravo")
			w.edit(generation(2))
			w.until("the step is "+step, inOrder, func() bool { return w.seen[step] })
			l := w.local()
			l.Status = v1alpha1.LocalCERTStatus{}
			if err := w.raw.Status().Update(t.Context(), l); err != nil {
				t.Fatal(err)
			}
			w.until("what was asked for is done", inOrder, w.done("alfa-ca-2"))
			w.quiet()
		})
	}
}

func TestAnOldRootIsReplacedByItself(t *testing.T) {
	manual := func(l *v1alpha1.LocalCERT) { l.Spec.Authority.Rotation = v1alpha1.AuthorityManual }
	t.Run("in_the_last_third_of_its_life", func(t *testing.T) {
		w := settled(t, anything, "alfa-ca", "bravo")
		w.clock = w.clock.AddDate(6, 0, 0)
		w.renewAll()
		w.quiet()
		if got := w.local().Status.Authority.Generation; got != 1 {
			t.Fatalf("it was replaced early: generation %d", got)
		}
		w.clock = w.clock.AddDate(0, 9, 0)
		w.renewAll()
		w.until("the root is replaced", inOrder, w.done("alfa-ca-2"))
		if r := w.local().Spec.Authority.Generation; r != nil {
			t.Error("the spec was changed")
		}
	})
	t.Run("but_not_when_a_person_wants_to_begin", func(t *testing.T) {
		w := settled(t, manual, "alfa-ca", "bravo")
		w.clock = w.clock.AddDate(9, 1, 0)
		w.renewAll()
		w.quiet()
		if got := w.reason("TrustInSync"); got != "False/RotationDue" {
			t.Errorf("TrustInSync is %s", got)
		}
		w.edit(generation(2))
		w.until("the root is replaced", inOrder, w.done("alfa-ca-2"))
	})
}

// TestTheOperatorTrustsBothRoots: it can read the report whichever the relay shows.
func TestTheOperatorTrustsBothRoots(t *testing.T) {
	w := settled(t, anything, "alfa-ca", "bravo")
	old := w.local().Status.Authority.Root
	w.edit(generation(2))
	w.until("certificates are issued", inOrder, func() bool {
		if r := w.local().Status.Rotation; r != nil && r.ToRoot != "" {
			trusted, err := cabundle.Parse(string(w.target.RootsPEM))
			if err != nil || find(trusted, old) == nil || w.seen["Issue"] && find(trusted, r.ToRoot) == nil {
				t.Errorf("in step %s it trusts %v (%v)", r.Step, cabundle.Hashes(trusted), err)
			}
		}
		return w.seen["Retire"]
	})
}

// TestARelayWithoutAReportHoldsARotation: what is not seen is not assumed.
func TestARelayWithoutAReportHoldsARotation(t *testing.T) {
	w := settled(t, anything, "alfa-ca")
	w.relay.silent = true
	w.edit(generation(2))
	w.quiet()
	if r := w.local().Status.Rotation; r == nil || r.Step != v1alpha1.StepDistribute {
		t.Fatalf("it went on: %s", describeStatus(w.local()))
	}
	w.relay.silent = false
	w.until("the root is replaced", inOrder, w.done("alfa-ca-2"))
}

// TestAnExpiredRootIsReplacedWithoutWaiting: nobody can be told anything under it,
// so peers take the new card by hand.
func TestAnExpiredRootIsReplacedWithoutWaiting(t *testing.T) {
	w := settled(t, func(l *v1alpha1.LocalCERT) { l.Spec.Authority.Rotation = v1alpha1.AuthorityManual }, "alfa-ca", "bravo")
	w.clock = w.clock.AddDate(10, 1, 0)
	w.peers["bravo"].online = false
	w.edit(generation(2))
	w.until("certificates are issued from the new root", inOrder, func() bool {
		r := w.local().Status.Rotation
		return r != nil && r.Step == v1alpha1.StepIssue && w.relay.link.root == r.ToRoot
	})
	w.peers["bravo"].accepted, w.peers["bravo"].online = nil, true // the card, by hand
	w.until("the root is replaced", inOrder, w.done("alfa-ca-2"))
}
