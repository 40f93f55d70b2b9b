// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/trust"
)

func trustCommand(o *options) *cobra.Command {
	return group(&cobra.Command{
		Use:   "trust",
		Short: "Whom our relay trusts, and every change of it",
	}, trustLogCommand(o), trustShowCommand(o), trustRotateCommand(o))
}

func trustLogCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "log [PEER]",
		Short: "Print the record of trust changes, the oldest first",
		Long: `Print the record of trust changes of our relay, the oldest first: all of it, or that
of one peer, by the name of its PeerCERT or by its trust domain (ours works, too).

Each record holds the hash of the one before; the relay verifies that chain each
time. The exit code is 1 when it is broken. Note the last hash elsewhere from time
to time: it shows later that nothing was taken off the end.`,
		Example: `  kubectl certlink trust log
  kubectl certlink trust log bravo -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.completePeers,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			return o.withRelay(ctx, func(s *session, relay *relayclient.Client) error {
				subject := ""
				if len(args) > 0 {
					var err error
					if subject, err = s.trustDomain(ctx, args[0]); err != nil {
						return err
					}
				}
				return o.trustLog(ctx, relay, subject, &output)
			})
		},
	}
	output.addTo(cmd)
	return cmd
}

// trustDomain of a PeerCERT by its name. Who has none of this name gave the trust
// domain: of ourselves, or of a peer that is gone.
func (s *session) trustDomain(ctx context.Context, peer string) (string, error) {
	var p v1alpha1.PeerCERT
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: peer}, &p)
	switch {
	case apierrors.IsNotFound(err) || apierrors.IsInvalid(err):
		return peer, nil
	case err != nil:
		return "", s.plain(err, "get", "peercerts", peer)
	}
	return p.Spec.Identity.TrustDomain, nil
}

func (o *options) trustLog(ctx context.Context, relay *relayclient.Client, subject string, output *format) error {
	page, err := relay.Trust(ctx, subject)
	if err != nil {
		return err
	}
	if *output != asTable {
		err = output.document(o.Out, page)
	} else {
		err = o.printTrustLog(page, subject)
	}
	if err != nil || page.Damaged == nil {
		return err
	}
	return fmt.Errorf("%w: the record of trust changes is damaged at record %d: %s; compare with a backup of the relay's volume",
		ErrUnwell, page.Damaged.Seq, page.Damaged.Reason)
}

func (o *options) printTrustLog(page trust.Page, subject string) error {
	if len(page.Records) == 0 {
		fmt.Fprintf(o.ErrOut, "No change of trust about %q is recorded.\n", oneLine(or(subject, "anybody")))
		return nil
	}
	rows := [][]string{{"SEQ", "TIME", "SUBJECT", "WHAT", "CAUSE", "CHANGE"}}
	for _, r := range page.Records {
		rows = append(rows, []string{fmt.Sprint(r.Seq), clock(r.At), r.Subject, string(r.What), string(r.Cause), trustChange(r)})
	}
	if err := table(o.Out, rows); err != nil {
		return err
	}
	if page.Damaged == nil {
		fmt.Fprintf(o.Out, "\n%d records in all, the chain is whole; SHA-256 of the last one: %s\n", page.Total, oneLine(page.Last))
	}
	return nil
}

// trustChange says what a record changed: certificates by the first digits of their
// hashes, and a key where it stayed.
func trustChange(r trust.Record) string {
	var parts []string
	if r.Item != "" {
		parts = append(parts, r.Item)
	}
	if r.From != "" || r.To != "" {
		parts = append(parts, or(r.From, "none")+" → "+or(r.To, "none"))
	}
	for _, h := range r.Old {
		if !slices.Contains(r.New, h) {
			parts = append(parts, "-"+digits(h.Certificate))
		}
	}
	for _, h := range r.New {
		switch {
		case slices.Contains(r.Old, h):
			parts = append(parts, "="+digits(h.Certificate))
		case slices.ContainsFunc(r.Old, func(o trust.Hash) bool { return o.Key == h.Key }):
			parts = append(parts, "+"+digits(h.Certificate)+" (same key)")
		default:
			parts = append(parts, "+"+digits(h.Certificate))
		}
	}
	return strings.Join(parts, " ")
}

// digits are the first of a hash: enough to tell two apart on a screen.
func digits(hash string) string { return hash[:min(len(hash), 16)] }

func trustShowCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show which CA certificates speak for us and for each peer now",
		Long: `Show which CA certificates speak for us and for each peer now, by our relay's
report: where those of a peer come from, what it offers that waits for you, and what
it accepts of ours.`,
		Example: `  kubectl certlink trust show`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			return o.withRelay(ctx, func(_ *session, relay *relayclient.Client) error {
				return o.trustShow(ctx, relay, &output)
			})
		},
	}
	output.addTo(cmd)
	return cmd
}

// trustView is what trust show prints for programs.
type trustView struct {
	Identity report.IdentityState `json:"identity"`
	Peers    []peerTrust          `json:"peers"`
}

type peerTrust struct {
	Name  string        `json:"name"`
	State string        `json:"state"`
	Trust *report.Trust `json:"trust,omitempty"`
	// AcceptedRoots and SeenRoot are ours, as the peer's offer says.
	AcceptedRoots []string `json:"acceptedRoots,omitempty"`
	SeenRoot      string   `json:"seenRoot,omitempty"`
}

func (o *options) trustShow(ctx context.Context, relay *relayclient.Client, output *format) error {
	now, err := relay.Report(ctx)
	if err != nil {
		return err
	}
	view := trustView{Identity: now.Identity, Peers: []peerTrust{}}
	for _, p := range now.Peers {
		shown := peerTrust{Name: p.Name, State: p.State, Trust: p.Trust}
		if p.Offer != nil {
			shown.AcceptedRoots, shown.SeenRoot = p.Offer.AcceptedRoots, p.Offer.SeenRoot
		}
		view.Peers = append(view.Peers, shown)
	}
	if *output != asTable {
		return output.document(o.Out, view)
	}
	return o.printTrust(view)
}

func (o *options) printTrust(view trustView) error {
	us := view.Identity
	fmt.Fprintf(o.Out, "Our link certificate %s chains to CA certificate %s; the first of ours ends on %s\n",
		oneLine(us.Serial), digits(oneLine(us.Root)), clock(us.NotAfter))
	fmt.Fprintf(o.Out, "Peers are to know us by %s\n", shortHashes(us.Roots))
	if us.Error != "" {
		fmt.Fprintln(o.Out, oneLine(us.Error))
	}
	if len(view.Peers) == 0 {
		return nil
	}
	fmt.Fprintln(o.Out)
	rows := [][]string{{"PEER", "STATE", "FINGERPRINT", "CA CERTIFICATES", "FROM", "SINCE", "ACCEPTS OF OURS", "SAW OURS FROM"}}
	for _, p := range view.Peers {
		row := []string{p.Name, p.State, "", "", "", "", shortHashes(p.AcceptedRoots), digits(p.SeenRoot)}
		if t := p.Trust; t != nil {
			row[2], row[3], row[4] = t.Fingerprint, shortHashes(t.Roots), "configuration"
			if t.Learned {
				row[4], row[5] = "offer", clock(t.LearnedAt)
			}
		}
		rows = append(rows, row)
	}
	if err := table(o.Out, rows); err != nil {
		return err
	}
	for _, p := range view.Peers {
		if p.Trust != nil && p.Trust.OfferedFingerprint != "" {
			fmt.Fprintf(o.Out, "\n%s offers other CA certificates, which wait for you: fingerprint %s, %s\n",
				oneLine(p.Name), oneLine(p.Trust.OfferedFingerprint), shortHashes(p.Trust.OfferedRoots))
		}
		if p.Trust != nil && p.Trust.Error != "" {
			fmt.Fprintf(o.Out, "\n%s: %s\n", oneLine(p.Name), oneLine(p.Trust.Error))
		}
	}
	return nil
}

// shortHashes are the first digits of a few hashes.
func shortHashes(hashes []string) string {
	const most = 4
	var parts []string
	for _, h := range hashes[:min(len(hashes), most)] {
		parts = append(parts, digits(oneLine(h)))
	}
	if len(hashes) > most {
		parts = append(parts, fmt.Sprintf("and %d more", len(hashes)-most))
	}
	return strings.Join(parts, ", ")
}
