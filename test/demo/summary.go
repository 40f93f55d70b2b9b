// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/test/scenario"
)

// side is what the summary shows of one nation.
type side struct {
	local     v1alpha1.LocalCERT
	peer      v1alpha1.PeerCERT
	hotline   v1alpha1.Hotline
	roundTrip float64
}

// look reads the nation's resources as they are now.
func look(ctx context.Context, p, other *scenario.Party) (side, error) {
	var s side
	var err error
	if s.local, err = p.AwaitLocal(ctx, scenario.True(v1alpha1.ConditionReady)...); err != nil {
		return s, err
	}
	if s.peer, err = p.AwaitPeer(ctx, other.Name, scenario.True(v1alpha1.ConditionConnected)...); err != nil {
		return s, err
	}
	s.hotline, err = p.AwaitHotline(ctx, other.Name, func(h v1alpha1.Hotline) error {
		return scenario.All(h.Status.Conditions, h.Generation, scenario.True(v1alpha1.ConditionReachable, v1alpha1.ConditionAnswered)...)
	})
	if err != nil {
		return s, err
	}
	s.roundTrip, err = roundTrip(ctx, p, other.Name)
	return s, err
}

// roundTrip reads the fast numbers where they are: in the relay's report.
func roundTrip(ctx context.Context, p *scenario.Party, peer string) (float64, error) {
	dial, closing, err := p.Forward(scenario.LocalPort)
	if err != nil {
		return 0, err
	}
	defer closing()
	client, err := p.Desk(ctx, dial)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	var best float64
	err = scenario.Poll(ctx, "a probe of "+p.Name+" has come back", func(ctx context.Context) error {
		r, err := scenario.Report(ctx, client)
		if err != nil {
			return err
		}
		for _, seen := range r.Peers {
			for _, path := range seen.Paths {
				if seen.Name == peer && path.State == report.Up && path.RoundTripMilliseconds > 0 {
					best = path.RoundTripMilliseconds
					return nil
				}
			}
		}
		return fmt.Errorf("the report has no round trip to %q", peer)
	})
	return best, err
}

func conditions(all []metav1.Condition) string {
	words := make([]string, 0, len(all))
	for _, c := range all {
		words = append(words, c.Type+"="+string(c.Status))
	}
	return strings.Join(words, " ")
}

func (d *demo) summary(ctx context.Context, a arguments) error {
	ours, err := look(ctx, d.alfa, d.bravo)
	if err != nil {
		return err
	}
	theirs, err := look(ctx, d.bravo, d.alfa)
	if err != nil {
		return err
	}
	fmt.Fprintln(d.out)
	w := tabwriter.NewWriter(d.out, 0, 8, 3, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")) }
	both := func(name string, of func(side) string) { row(name, of(ours), of(theirs)) }
	row("", strings.ToUpper(d.alfa.Name), strings.ToUpper(d.bravo.Name))
	both("trust domain", func(s side) string { return s.local.Spec.Identity.TrustDomain })
	both("address", func(s side) string { return strings.Join(s.local.Status.Addresses, " ") })
	both("fingerprint", func(s side) string { return s.local.Status.Fingerprint })
	both("LocalCERT", func(s side) string { return conditions(s.local.Status.Conditions) })
	both("PeerCERT", func(s side) string { return conditions(s.peer.Status.Conditions) })
	both("Hotline", func(s side) string { return conditions(s.hotline.Status.Conditions) })
	both("TLS", func(s side) string {
		if s.peer.Status.TLS == nil {
			return "?"
		}
		return s.peer.Status.TLS.Version + " " + s.peer.Status.TLS.Group
	})
	both("round trip", func(s side) string { return fmt.Sprintf("%.2f ms", s.roundTrip) })
	row("SharedFeed", "export: "+conditions(d.export.Status.Conditions), "import: "+conditions(d.imported.Status.Conditions))
	row("objects", fmt.Sprintf("%d stored, %d shared", scenario.Number(d.export.Status.Stored), scenario.Number(d.export.Status.Shared)),
		fmt.Sprintf("%d imported", scenario.Number(d.imported.Status.Stored)))
	for _, held := range d.export.Status.HeldReasons {
		row("held", fmt.Sprintf("%d: %s", scenario.Number(held.Objects), held.Reason), "-")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return d.rest(a)
}

// rest tells of the message and the times, and how to go on.
func (d *demo) rest(a arguments) error {
	fmt.Fprintln(d.out)
	w := tabwriter.NewWriter(d.out, 0, 8, 3, ' ', 0)
	m := d.message
	at := func(t time.Time) string { return t.UTC().Format("15:04:05.000") + " UTC" }
	fmt.Fprintf(w, "hotline message\t%s\t%s %s, %s to %s\n", m.ID, m.Precedence, m.Kind, d.bravo.Name, d.alfa.Name)
	fmt.Fprintf(w, "  stored by %s\t%s\ton stable storage before the command returned\n", d.bravo.Name, at(m.StoredAt))
	fmt.Fprintf(w, "  stored by %s\t%s\tsigned receipt, verified\n", d.alfa.Name, at(m.ReceiptAt))
	fmt.Fprintf(w, "  acknowledged\t%s\tsigned acknowledgement of %q\n", at(m.AcknowledgedAt), m.AcknowledgedBy)
	if d.page.title != "" {
		fmt.Fprintf(w, "web application\t%s\tin a pod of %s: %q, which runs in %s (%.2fs, kubectl exec included)\n",
			d.page.url, d.bravo.Name, d.page.title, d.alfa.Name, d.page.took.Seconds())
	}
	fmt.Fprintln(w)
	for _, t := range d.times {
		fmt.Fprintf(w, "%s\t%.1fs\t\n", t.phase, t.took.Seconds())
	}
	fmt.Fprintf(w, "all\t%.1fs\t\n", time.Since(d.began).Seconds())
	if err := w.Flush(); err != nil {
		return err
	}
	d.howToGoOn(d.out, a)
	return nil
}

func (d *demo) howToGoOn(out io.Writer, a arguments) {
	fmt.Fprintln(out, "\nIt is all still running. Look at it:")
	for _, p := range []*scenario.Party{d.alfa, d.bravo} {
		fmt.Fprintf(out, "  kubectl --kubeconfig %s get lcert,pcert,sfeed,ssvc,hl -A\n", shorten(p.Kubeconfig))
	}
	fmt.Fprintf(out, "  %s --kubeconfig %s -n %s status\n", d.programs.CLI, shorten(d.alfa.Kubeconfig), d.alfa.Namespace)
	if a.kubeconfigs == "" {
		fmt.Fprintln(out, "End it with:\n  make nations-down")
		return
	}
	fmt.Fprintln(out, "End it in each cluster with:")
	for _, p := range []*scenario.Party{d.alfa, d.bravo} {
		fmt.Fprintf(out, "  kubectl --kubeconfig %s delete namespace %s %s\n", shorten(p.Kubeconfig), p.Namespace, scenario.OperatorNamespace)
	}
}

// shorten names a file as seen from here.
func shorten(path string) string {
	here, err := filepath.Abs(".")
	if err != nil {
		return path
	}
	relative, err := filepath.Rel(here, path)
	if err != nil || strings.HasPrefix(relative, "..") {
		return path
	}
	return relative
}
