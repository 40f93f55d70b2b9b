// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/territory"
)

// maxLooked is the number of objects of a file that are asked about.
const maxLooked = 10_000

// territoryRequest is what the command line asks.
type territoryRequest struct {
	subject   string
	at        string
	agreement int
	output    format
}

func territoryCommand(o *options) *cobra.Command {
	var req territoryRequest
	cmd := &cobra.Command{
		Use:   "territory ADDRESS|NETWORK|ASN|URL|DOMAIN|STIX-FILE",
		Short: "Say from whose territory something appears to emanate",
		Long: `Say by the data sets of our relay where an address, a network, an AS number, a URL or
a domain appears to be, or what the objects of a STIX file name, and which peers a
rule with emanatesFrom: Peer would send it to. A file is a path that exists, or "-".

This is evidence of where something appears to be, never of who is behind it.
Nobody is asked but our relay, and no name is resolved.`,
		Example: `  kubectl certlink territory 192.0.2.7
  kubectl certlink territory AS64500 --at 2026-03-01T00:00:00Z
  kubectl certlink territory indicators.json --agreement 2`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.subject = args[0]
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			return o.withRelay(ctx, func(_ *session, relay *relayclient.Client) error { return o.territory(ctx, relay, req) })
		},
	}
	cmd.Flags().StringVar(&req.at, "at", "", "time of the observation of a value (default: the newest data; an object tells its own)")
	cmd.Flags().IntVar(&req.agreement, "agreement", 1, "number of sources that must agree, 1 to 8")
	req.output.addTo(cmd)
	return cmd
}

func (o *options) territory(ctx context.Context, relay *relayclient.Client, req territoryRequest) error {
	var at time.Time
	if req.at != "" {
		var err error
		if at, err = time.Parse(time.RFC3339Nano, req.at); err != nil {
			return fmt.Errorf("--at %q is no time such as 2006-01-02T15:04:05Z", req.at)
		}
	}
	var answers []desk.Territory
	var err error
	if in, isFile := o.stixFile(req.subject); isFile {
		answers, err = territoryOfFile(ctx, relay, in, req.agreement)
		err = errors.Join(err, in.Close())
	} else {
		var answer desk.Territory
		answer, err = relay.Territory(ctx, req.subject, at, req.agreement)
		answers = []desk.Territory{answer}
	}
	switch {
	case relayclient.IsStatus(err, 404):
		return errors.New("our relay does not know the question: it is of an earlier release")
	case err != nil:
		return err
	case req.output != asTable:
		return req.output.document(o.Out, answers)
	}
	return o.printTerritory(answers)
}

// stixFile opens the file that an argument names; false if it names none.
func (o *options) stixFile(name string) (io.ReadCloser, bool) {
	if name == "-" {
		return io.NopCloser(o.In), true
	}
	f, err := os.Open(name) //nolint:gosec // a person names the file
	if err != nil {
		return nil, false
	}
	return f, true
}

func territoryOfFile(ctx context.Context, relay *relayclient.Client, in io.Reader, agreement int) ([]desk.Territory, error) {
	var answers []desk.Territory
	err := eachObject(in, func(object json.RawMessage) error {
		if len(answers) == maxLooked {
			return fmt.Errorf("the file has more than %d objects: ask about fewer", maxLooked)
		}
		answer, err := relay.TerritoryOf(ctx, object, agreement)
		answers = append(answers, answer)
		return err
	})
	return answers, err
}

// printTerritory prints a line for each value, and one for each object and peer.
func (o *options) printTerritory(answers []desk.Territory) error {
	values := [][]string{{"SUBJECT", "VALUE", "APPEARS IN", "SOURCES", "FLAGS"}}
	verdicts := [][]string{{"SUBJECT", "PEER", "APPEARS TO EMANATE", "REASON"}}
	for _, a := range answers {
		for _, v := range a.Evidence.Values {
			values = append(values, []string{oneLine(a.Subject), oneLine(v.Value), agreementOf(v), oneLine(sourcesOf(v)), strings.Join(v.Flags, " ")})
		}
		for _, p := range a.Peers {
			emanates := "no"
			if p.Emanates {
				emanates = "yes"
			}
			verdicts = append(verdicts, []string{oneLine(a.Subject), oneLine(p.Peer), emanates, oneLine(p.Reason)})
		}
	}
	if len(values) == 1 {
		fmt.Fprintln(o.ErrOut, "There is nothing in it that could be looked up.")
	} else if err := table(o.Out, values); err != nil {
		return err
	}
	if len(verdicts) == 1 {
		return nil
	}
	fmt.Fprintln(o.Out)
	if err := table(o.Out, verdicts); err != nil {
		return err
	}
	_, err := fmt.Fprintln(o.Out, "\nThis is where it appears to be by the data sets named, not who is behind it.")
	return err
}

// agreementOf lists the countries with the number of sources, the most first.
func agreementOf(v territory.Value) string {
	var countries []string
	for c := range v.Agreement {
		countries = append(countries, c)
	}
	slices.SortFunc(countries, func(a, b string) int {
		if v.Agreement[a] != v.Agreement[b] {
			return v.Agreement[b] - v.Agreement[a]
		}
		return strings.Compare(a, b)
	})
	for i, c := range countries {
		countries[i] = fmt.Sprintf("%s (%d)", c, v.Agreement[c])
	}
	return or(strings.Join(countries, ", "), "unknown")
}

func sourcesOf(v territory.Value) string {
	var parts []string
	if r := v.RIR; r != nil {
		parts = append(parts, fmt.Sprintf("%s %s: %s %s", r.Dataset, or(r.CC, "-"), r.Status, r.Date))
	}
	for _, g := range v.Geo {
		parts = append(parts, fmt.Sprintf("%s %s", g.Dataset, or(g.CC, "-")))
	}
	if a := v.ASN; a != nil {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("AS%d %s %s %s", a.Number, or(a.CC, "-"), a.Name, a.Dataset)))
	}
	return strings.Join(parts, "; ")
}
