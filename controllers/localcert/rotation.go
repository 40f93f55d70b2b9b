// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"cmp"
	"slices"
	"time"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/cabundle"
	relayreport "github.com/certlink/certlink/relay/report"
)

// sight is what a decision about a rotation depends on, besides the state.
type sight struct {
	local *v1alpha1.LocalCERT
	now   time.Time
	// leaves are our certificates, canary the one that nobody uses.
	leaves []leafState
	canary leafState
	// strangers are the names of Certificates of others that still ask the issuer
	// that would be retired.
	strangers []string
	// report of the relay; nil when it cannot be read now.
	report *relayreport.Report
	// live: the relay runs the configuration that follows from the state.
	live bool
	// peers are the PeerCERTs of the namespace.
	peers []v1alpha1.PeerCERT
}

// heardAfter is how long after a step began an offer must have come to count as
// one that answers it: relays tell the time of an offer to the minute, and another
// clock may be a little off.
const heardAfter = 2 * time.Minute

// advance takes the state one step on, if what was seen allows it. It is pure, and
// a step is never left by time alone:
//
//	            canary comes from the new issuer,      our certificates and the relay's
//	            every peer accepts its root            are from it, every peer saw it
//	none → Distribute ─────────────────────────→ Issue ─────────────────────────→ Retire
//	  ↑        │ spec.issuerRef is as before       │ the issuer signs with yet       │ every peer accepts the old
//	  └────────┘                    Distribute ←───┘ another root                    │ root no longer, or heard of it
//	  └──────────────────────────────────────────────────────────────────────────────┘
//
// Peers that are Revoked or left behind do not count. What the step waits for stands
// in the state that is returned.
func advance(t trust, s sight) trust {
	t.rotation = t.rotation.DeepCopy()
	if t.authority.Root == "" && t.rotation == nil {
		return t.settle(s)
	}
	if t.rotation == nil {
		return t.begin(s)
	}
	if t.rotation.Step == v1alpha1.StepDistribute && t.redirect(s) {
		return t
	}
	if s.report != nil {
		t.rotation.Peers = progress(t.rotation, s)
	}
	switch t.rotation.Step {
	case v1alpha1.StepDistribute:
		return t.distribute(s)
	case v1alpha1.StepIssue:
		return t.issue(s)
	case v1alpha1.StepRetire:
		return t.retire(s)
	}
	return t
}

// settle chooses the authority while no certificate was ever used: nobody knows us yet.
func (t trust) settle(s sight) trust {
	for _, c := range s.leaves {
		if c.name == namesOf(s.local).Link && c.from(*t.authority.IssuerRef) {
			t.authority.Root = c.root
			return t
		}
		if c.root != "" {
			return t // an upgrade: let cert-manager finish what it does
		}
	}
	ref, generation := wanted(s.local, max(1, t.authority.Generation))
	t.authority.IssuerRef, t.authority.Generation = &ref, generation
	return t
}

// begin starts a rotation if there is a cause.
func (t trust) begin(s sight) trust {
	asked := requested(s.local)
	raised := asked > t.authority.RequestedGeneration
	t.authority.RequestedGeneration = max(asked, t.authority.RequestedGeneration)
	r := &v1alpha1.RotationStatus{Step: v1alpha1.StepDistribute, FromRoot: t.authority.Root, Generation: t.authority.Generation, IssuerRef: *t.authority.IssuerRef}
	own, wantOwn := t.authority.Generation > 0, s.local.Spec.IssuerRef == nil
	switch {
	case own != wantOwn || !own && normal(*s.local.Spec.IssuerRef) != *t.authority.IssuerRef:
		r.Cause = v1alpha1.CauseIssuerChanged
		r.IssuerRef, r.Generation = wanted(s.local, asked)
	case t.strange(s.leaves, s.canary) != "":
		r.Cause = v1alpha1.CauseRootChanged
		r.ToRoot = t.strange(s.leaves, s.canary)
	case own && raised:
		r.Cause = v1alpha1.CauseRequested
		r.IssuerRef, r.Generation = wanted(s.local, max(t.authority.Generation+1, asked))
	case own && s.local.Spec.Authority.Rotation != v1alpha1.AuthorityManual && t.old(s.now, rotateBefore):
		r.Cause = v1alpha1.CauseAge
		r.IssuerRef, r.Generation = wanted(s.local, t.authority.Generation+1)
	default:
		return t
	}
	r.StartTime, r.StepTime = status.Time(s.now), status.Time(s.now)
	t.rotation = r
	return t
}

// old tells whether less than one part in n of the root's life is left.
func (t trust) old(now time.Time, n int64) bool {
	bundle, _ := cabundle.Parse(t.authority.Bundle) // what we wrote
	end := endsSoon(find(bundle, t.authority.Root), n)
	return !end.IsZero() && now.After(end)
}

// redirect follows a spec that names another issuer than the one under way, while
// nothing was issued from that one; true when it did.
func (t *trust) redirect(s sight) bool {
	r := t.rotation
	own, wantOwn := r.Generation > 0, s.local.Spec.IssuerRef == nil
	if own == wantOwn && (own || normal(*s.local.Spec.IssuerRef) == r.IssuerRef) {
		return false
	}
	again := *t
	again.rotation = nil
	*t = again.begin(s)
	return true
}

// giveUp is redirect for an issuer from which our certificates come in part already,
// and which does not issue the others: it may never again. What peers were told stays
// in the bundle until all is from one issuer, be it the one of before.
func (t *trust) giveUp(s sight) bool {
	if !t.redirect(s) {
		return false
	}
	if t.rotation == nil {
		t.rotation = &v1alpha1.RotationStatus{
			Step: v1alpha1.StepDistribute, Cause: v1alpha1.CauseIssuerChanged, FromRoot: t.authority.Root,
			IssuerRef: *t.authority.IssuerRef, Generation: t.authority.Generation, StartTime: status.Time(s.now), StepTime: status.Time(s.now),
		}
	}
	return true
}

func (t trust) distribute(s sight) trust {
	r := t.rotation
	if s.canary.from(r.IssuerRef) && (r.Cause != v1alpha1.CauseRootChanged || s.canary.root != r.FromRoot) {
		r.ToRoot = s.canary.root
	}
	if r.ToRoot == "" || r.Cause != v1alpha1.CauseRootChanged && !s.canary.from(r.IssuerRef) {
		r.WaitingFor = notIssued(s.canary, r.IssuerRef)
		return t
	}
	if r.ToRoot != r.FromRoot && !t.dead(s.now) {
		if s.report == nil {
			return t
		}
		if r.WaitingFor = acceptance(r, s); r.WaitingFor != "" {
			return t
		}
	}
	for _, c := range s.leaves {
		if c.issuer != nil && *c.issuer == r.IssuerRef && c.root != r.ToRoot {
			t.authority.Reissues++ // the Certificates ask this issuer already
			break
		}
	}
	return t.enter(v1alpha1.StepIssue, s)
}

// dead tells whether the root that is replaced has run out: no peer can be told
// anything under it.
func (t trust) dead(now time.Time) bool {
	bundle, _ := cabundle.Parse(t.authority.Bundle) // what we wrote
	root := find(bundle, t.rotation.FromRoot)
	return root != nil && now.After(root.NotAfter)
}

func (t trust) issue(s sight) trust {
	r := t.rotation
	if s.canary.from(r.IssuerRef) && s.canary.root != r.ToRoot && s.canary.notBefore.After(r.StepTime.Time) {
		r.ToRoot = s.canary.root
		return t.enter(v1alpha1.StepDistribute, s)
	}
	for _, c := range s.leaves {
		if !c.from(r.IssuerRef) || c.root != r.ToRoot {
			if t.giveUp(s) {
				return t
			}
			r.WaitingFor = notIssued(c, r.IssuerRef)
			return t
		}
	}
	if s.report == nil {
		return t
	}
	if r.WaitingFor = sighting(r, s); r.WaitingFor != "" {
		return t
	}
	return t.enter(v1alpha1.StepRetire, s)
}

func (t trust) retire(s sight) trust {
	r := t.rotation
	if s.report == nil {
		return t
	}
	if r.WaitingFor = farewell(r, s, t.advertises(r.FromRoot)); r.WaitingFor != "" {
		return t
	}
	a := &t.authority
	a.IssuerRef, a.Generation = &r.IssuerRef, r.Generation
	a.Root = r.ToRoot
	if r.FromRoot != r.ToRoot {
		a.ReplacedRoot = r.FromRoot
	}
	t.rotation = nil
	return t
}

// advertises tells whether a root is still in the bundle, as with an issuer that
// gives both of its CA certificates.
func (t trust) advertises(root string) bool {
	bundle, _ := cabundle.Parse(t.authority.Bundle) // what we wrote
	return find(bundle, root) != nil
}

// enter begins another step.
func (t trust) enter(step v1alpha1.RotationStep, s sight) trust {
	r := t.rotation
	r.Step, r.StepTime, r.WaitingFor = step, status.Time(s.now), ""
	if s.report != nil {
		r.Peers = progress(r, s)
	}
	return t
}

// counted are the peers that a rotation waits for, by name.
func counted(s sight) []string {
	var out []string
	for i := range s.peers {
		p := &s.peers[i]
		if p.Spec.State != v1alpha1.PeerRevoked && p.DeletionTimestamp.IsZero() && !slices.Contains(s.local.Spec.Authority.LeaveBehind, p.Name) {
			out = append(out, p.Name)
		}
	}
	slices.Sort(out)
	return out
}

// offers of the peers, by name.
func offers(r *relayreport.Report) map[string]*relayreport.Offer {
	out := map[string]*relayreport.Offer{}
	if r == nil {
		return out
	}
	for i := range r.Peers {
		if o := r.Peers[i].Offer; o != nil {
			out[r.Peers[i].Name] = o
		}
	}
	return out
}

// maxPeers that a status holds.
const maxPeers = 1024

// progress of each peer that is not Revoked.
func progress(r *v1alpha1.RotationStatus, s sight) []v1alpha1.RotationPeer {
	said, waits := offers(s.report), counted(s)
	var out []v1alpha1.RotationPeer
	for i := range s.peers {
		p := &s.peers[i]
		if p.Spec.State == v1alpha1.PeerRevoked || !p.DeletionTimestamp.IsZero() {
			continue
		}
		state := v1alpha1.PeerWaiting
		switch o := said[p.Name]; {
		case !slices.Contains(waits, p.Name):
			state = v1alpha1.PeerLeftBehind
		case o == nil || r.ToRoot == "":
		case o.SeenRoot == r.ToRoot:
			state = v1alpha1.PeerSeen
		case slices.Contains(o.AcceptedRoots, r.ToRoot):
			state = v1alpha1.PeerAccepted
		}
		out = append(out, v1alpha1.RotationPeer{Name: p.Name, State: state})
	}
	slices.SortFunc(out, func(a, b v1alpha1.RotationPeer) int { return cmp.Compare(a.Name, b.Name) })
	return out[:min(len(out), maxPeers)]
}
