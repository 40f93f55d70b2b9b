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
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

// recordFlags are those of hotline record.
type recordFlags struct {
	month, directory string
	now              bool
	output           format
}

func lineRecordCommand(o *options) *cobra.Command {
	f := &recordFlags{}
	cmd := &cobra.Command{
		Use:   "record HOTLINE",
		Short: "Show the availability of a hotline in a month, signed and countersigned",
		Long: `Show the availability record of a month as both sides signed it: our view, the peer's, and
what each says of the other's. The relays exchange it by themselves when a month is over;
--now does it at once, also for the month that runs. With --directory the four signed
statements are written to files that anybody can verify without certlink.`,
		Example: `  kubectl certlink hotline record to-bravo --month 2026-10
  kubectl certlink hotline record to-bravo --now --directory record`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeHotlines,
		RunE: o.atRelay(longTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.lineRecord(ctx, relay, args[0], f)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.month, "month", "", "month YYYY-MM in UTC (default: the last one; with --now that which runs)")
	flags.BoolVar(&f.now, "now", false, "exchange the record with the peer now")
	flags.StringVar(&f.directory, "directory", "", "write the signed statements into this directory")
	f.output.addTo(cmd)
	return cmd
}

func (o *options) lineRecord(ctx context.Context, relay *relayclient.Client, hotline string, f *recordFlags) error {
	month := f.month
	if month == "" {
		at := o.now().UTC()
		if !f.now {
			at = time.Date(at.Year(), at.Month()-1, 1, 0, 0, 0, 0, time.UTC)
		}
		month = at.Format("2006-01")
	}
	a, err := relay.Availability(ctx, hotline, month, f.now)
	if err != nil {
		if relayclient.IsStatus(err, 404) {
			return fmt.Errorf("there is no hotline %q, or no record of %s yet: one is made when its month is over; --now makes that of the running month", hotline, month)
		}
		return err
	}
	if f.directory != "" {
		if err := o.exportRecord(a, f.directory); err != nil {
			return err
		}
	}
	if f.output != asTable {
		err = f.output.document(o.Out, a)
	} else {
		err = o.printRecord(a)
	}
	return errors.Join(err, faultsOf(a))
}

// faultsOf are why a record proves less than it should, however it was printed.
func faultsOf(a desk.Availability) error {
	var faults []error
	if a.Error != "" {
		faults = append(faults, fmt.Errorf("the peer could not be asked just now: %s", oneLine(a.Error)))
	}
	for _, side := range []struct {
		whose string
		s     *desk.SignedRecord
	}{{"ours", a.Ours}, {"theirs", a.Theirs}} {
		if side.s != nil && (!side.s.Verified || side.s.CounterFault != "") {
			faults = append(faults, fmt.Errorf("%w: a signature under the record of %s (%s) is not good: %s",
				ErrUnwell, oneLine(a.Month), side.whose, oneLine(or(side.s.Fault, side.s.CounterFault))))
		}
	}
	return errors.Join(faults...)
}

// lineRecord is what is shown of a record.
type lineRecord struct {
	By           string    `json:"by"`
	Until        time.Time `json:"until"`
	Slots        int64     `json:"slots"`
	Answered     int64     `json:"slots_answered"`
	Availability string    `json:"availability"`
	Paths        []struct {
		From string `json:"from"`
		Path struct {
			DialledBy string `json:"dialled_by"`
			Address   string `json:"address"`
		} `json:"path"`
		Sent         int64  `json:"sent"`
		Good         int64  `json:"good"`
		Missed       int64  `json:"missed"`
		NotTested    int64  `json:"not_tested"`
		Gap          int64  `json:"longest_gap_seconds"`
		Availability string `json:"availability"`
	} `json:"paths"`
	Messages struct {
		Sent     int64 `json:"sent"`
		Received int64 `json:"received"`
	} `json:"messages"`
}

func (o *options) printRecord(a desk.Availability) error {
	rows := [][]string{{"VIEW OF", "CHECKS OF", "PATH", "SENT", "GOOD", "MISSED", "NOT TESTED", "LONGEST GAP", "AVAILABLE %"}}
	var notes []string
	for _, side := range []struct {
		name string
		s    *desk.SignedRecord
	}{{"ours", a.Ours}, {"theirs", a.Theirs}} {
		if side.s == nil {
			notes = append(notes, side.name+": not signed yet")
			continue
		}
		var r lineRecord
		if err := json.Unmarshal(side.s.Record, &r); err != nil {
			return fmt.Errorf("reading the record: %w", err)
		}
		for _, p := range r.Paths {
			rows = append(rows, []string{
				r.By, p.From, p.Path.DialledBy + " dials " + p.Path.Address, decimal(p.Sent), decimal(p.Good), decimal(p.Missed), decimal(p.NotTested),
				(time.Duration(p.Gap) * time.Second).String(), p.Availability,
			})
		}
		notes = append(notes, fmt.Sprintf("%s until %s: %d of %d slots answered over at least one path (%s %%), %d messages sent and %d received",
			oneLine(r.By), clock(r.Until), r.Answered, r.Slots, oneLine(r.Availability), r.Messages.Sent, r.Messages.Received), signatures(side.s))
		for _, d := range side.s.Differences {
			notes = append(notes, "  "+oneLine(d))
		}
	}
	if err := table(o.Out, rows); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "\nRecord of %s on %s: %s\n", oneLine(a.Month), oneLine(a.Hotline), a.State)
	for _, n := range notes {
		fmt.Fprintln(o.Out, n)
	}
	return nil
}

// signatures says what is proven of a record.
func signatures(s *desk.SignedRecord) string {
	signed, counter := "signature verified", "not countersigned yet"
	if !s.Verified {
		signed = "SIGNATURE NOT GOOD: " + oneLine(s.Fault)
	}
	switch {
	case s.CounterFault != "":
		counter = "COUNTERSIGNATURE NOT GOOD: " + oneLine(s.CounterFault)
	case s.CounterVerified && s.Agreed:
		counter = "countersigned as agreed"
	case s.CounterVerified:
		counter = fmt.Sprintf("countersigned with %d differences:", len(s.Differences))
	}
	return "  " + signed + ", " + counter
}

// exportRecord writes the signed statements, as they were exchanged.
func (o *options) exportRecord(a desk.Availability, directory string) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return fmt.Errorf("making the directory of the record: %w", err)
	}
	for name, s := range map[string]*desk.SignedRecord{"ours": a.Ours, "theirs": a.Theirs} {
		if s == nil {
			continue
		}
		for suffix, jws := range map[string]string{".jws": s.JWS, ".countersignature.jws": s.CounterJWS} {
			if jws == "" {
				continue
			}
			file := filepath.Join(directory, filepath.Base(a.Month)+"."+name+suffix)
			if err := os.WriteFile(file, []byte(jws+"\n"), 0o644); err != nil {
				return fmt.Errorf("writing the record: %w", err)
			}
			_, _ = io.WriteString(o.ErrOut, file+"\n")
		}
	}
	return nil
}
