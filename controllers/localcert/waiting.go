// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"fmt"
	"slices"
	"strings"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	relayreport "github.com/certlink/certlink/relay/report"
)

// What a step of a rotation waits for: each function returns one sentence for
// people, the same for as long as it holds, or nothing when the step is done.

// notIssued: cert-manager has not issued a certificate from an issuer.
func notIssued(c leafState, issuer v1alpha1.IssuerInUse) string {
	waiting := fmt.Sprintf("cert-manager has not issued Certificate %q from %s %q yet", c.name, issuer.Kind, issuer.Name)
	if c.fault != "" && !c.from(issuer) {
		waiting += ": " + c.fault
	}
	return status.OneLine(waiting)
}

// acceptance: peers have not said that they accept the new root.
func acceptance(r *v1alpha1.RotationStatus, s sight) string {
	if !s.live {
		return relayBehind
	}
	away := lacking(s, func(o *relayreport.Offer) bool { return slices.Contains(o.AcceptedRoots, r.ToRoot) })
	if len(away) == 0 {
		return ""
	}
	waiting := people(away) + " must accept our new root " + short(r.ToRoot) + ": a peer that is away takes it when it is back, " +
		"one with rotation Manual when a person there accepts it; or name it in spec.authority.leaveBehind" + barred(s, away)
	if r.Cause == v1alpha1.CauseRootChanged {
		for _, c := range s.leaves {
			if c.root == r.ToRoot {
				return status.OneLine(fmt.Sprintf("Certificate %q is already issued from it, so a peer that does not accept it refuses us; ", c.name) + waiting)
			}
		}
	}
	return status.OneLine(waiting)
}

// relayBehind: the relay does not run the configuration of this step.
const relayBehind = "our relay has not taken up its newest configuration"

// sighting: the relay does not show the new certificates, somebody still uses the
// old issuer, or peers have not seen a new one.
func sighting(r *v1alpha1.RotationStatus, s sight) string {
	if !s.live {
		return relayBehind
	}
	if what := unmounted(s.report.Identity, s.leaves); what != "" {
		return fmt.Sprintf("our relay has not taken up its new %s certificate", what)
	}
	if root := s.report.Identity.Root; root != "" && root != r.ToRoot {
		return "our relay has not taken up its new link certificate"
	}
	if len(s.strangers) > 0 {
		return status.OneLine(fmt.Sprintf("%s of yours still asks the issuer that goes; point its issuerRef to %s %q, or delete it",
			certificates(s.strangers), r.IssuerRef.Kind, r.IssuerRef.Name))
	}
	if r.ToRoot == r.FromRoot {
		return ""
	}
	away := lacking(s, func(o *relayreport.Offer) bool { return o.SeenRoot == r.ToRoot })
	if len(away) == 0 {
		return ""
	}
	return status.OneLine(people(away) + " must see our certificate from the new root " + short(r.ToRoot) +
		": a peer that is away sees it when it is back, one that was given only our old card needs status.card; or name it in spec.authority.leaveBehind" + barred(s, away))
}

// farewell: the relay still advertises the old root, or peers have not heard that it is gone.
func farewell(r *v1alpha1.RotationStatus, s sight, stays bool) string {
	if !s.live {
		return relayBehind
	}
	if stays || r.FromRoot == r.ToRoot {
		return ""
	}
	after := r.StepTime.Add(heardAfter)
	away := lacking(s, func(o *relayreport.Offer) bool {
		return !slices.Contains(o.AcceptedRoots, r.FromRoot) || o.ReceivedAt.After(after)
	})
	if len(away) == 0 {
		return ""
	}
	return status.OneLine(people(away) + " must hear that our old root " + short(r.FromRoot) +
		" is gone: a peer that is away hears it when it is back; or name it in spec.authority.leaveBehind")
}

// lacking are the counted peers whose offers do not say something.
func lacking(s sight, says func(*relayreport.Offer) bool) []string {
	said := offers(s.report)
	var out []string
	for _, name := range counted(s) {
		if o := said[name]; o == nil || !says(o) {
			out = append(out, name)
		}
	}
	return out
}

// barred says of peers that are no part of our relay's configuration that they cannot
// answer. The relay is live.
func barred(s sight, names []string) string {
	known := map[string]bool{}
	for i := range s.report.Peers {
		known[s.report.Peers[i].Name] = true
	}
	out := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return known[name] })
	if len(out) == 0 {
		return ""
	}
	return "; our relay does not have " + people(out) + ", see the condition Ready of the PeerCERT"
}

// people names peers; a message has room for some only.
func people(names []string) string {
	const most = 8
	list := strings.Join(names[:min(len(names), most)], ", ")
	switch {
	case len(names) == 1:
		return fmt.Sprintf("peer %s", list)
	case len(names) <= most:
		return "peers " + list
	}
	return fmt.Sprintf("peers %s and %d more", list, len(names)-most)
}

func certificates(names []string) string {
	if len(names) == 1 {
		return fmt.Sprintf("Certificate %q", names[0])
	}
	return fmt.Sprintf("Certificate %q (and %d more)", names[0], len(names)-1)
}

// short form of a hash, for people.
func short(hash string) string { return hash[:min(len(hash), 16)] }

// unmounted is the first of the relay's certificates that its report does not show
// as it was issued; empty when all do, or when the report does not say.
func unmounted(i relayreport.IdentityState, leaves []leafState) string {
	for _, said := range []struct{ path, serial, name string }{
		{"/relay", i.Serial, "link"}, {"/local", i.LocalSerial, "local"}, {"/signing", i.SigningSerial, "signing"},
	} {
		for _, c := range leaves {
			if c.path == said.path && said.serial != "" && c.serial != "" && said.serial != c.serial {
				return said.name
			}
		}
	}
	return ""
}
