// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
)

// stateMissed is that of a direction of a path whose checks are not answered.
const stateMissed = string(report.LineMissed)

func lineCheckCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "check HOTLINE",
		Short: "Send a line check over every path now",
		Long: `Send a line check over every path of a hotline now, standby ones too, and show what came
back: the peer's signed receipt, its time, and the round trip. The last scheduled check of
the peer over each path stands beside it. The command fails if a path is not good in both
directions.`,
		Example:           `  kubectl certlink hotline check to-bravo`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeHotlines,
		RunE: o.atRelay(longTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.lineCheck(ctx, relay, args[0], &output)
		}),
	}
	output.addTo(cmd)
	return cmd
}

func (o *options) lineCheck(ctx context.Context, relay *relayclient.Client, hotline string, output *format) error {
	run, err := relay.CheckLine(ctx, hotline)
	if err != nil {
		return noHotline(err, hotline)
	}
	bad := 0
	for i := range run.Checks {
		if run.Checks[i].State = stateNow(run.Checks[i]); run.Checks[i].State == stateMissed {
			bad++
		}
	}
	if *output != asTable {
		err = output.document(o.Out, run)
	} else {
		err = o.printLineCheck(run)
	}
	if err == nil && bad > 0 {
		err = fmt.Errorf("%d of %d directions of paths are not good: see docs/linechecks.md for what to do", bad, len(run.Checks))
	}
	return err
}

func (o *options) printLineCheck(run desk.LineCheckRun) error {
	rows := [][]string{{"PATH", "DIRECTION", "STATE", "NUMBER", "ROUND TRIP", "OUR TIME", "THEIR TIME", "SIGNED BY"}}
	var failures []string
	for _, c := range run.Checks {
		trip := ""
		if c.RoundTripMicroseconds > 0 {
			trip = (time.Duration(c.RoundTripMicroseconds) * time.Microsecond).Round(10 * time.Microsecond).String()
		}
		rows = append(rows, []string{lineCheckPath(run, c), c.Direction, c.State, decimal(c.Number), trip, stamp(c.OurTime), stamp(c.TheirTime), c.SignedBy})
		if c.Failure != "" {
			failures = append(failures, fmt.Sprintf("%s: %s", lineCheckPath(run, c), strings.TrimPrefix(oneLine(c.Failure), c.Address+": ")))
		}
	}
	if err := table(o.Out, rows); err != nil {
		return err
	}
	for _, f := range failures {
		fmt.Fprintf(o.Out, "\n%s\n", f)
	}
	return nil
}

// stateNow is that of a direction of a path: what was answered on schedule says nothing of a check that
// failed just now.
func stateNow(c desk.LineChecked) string {
	if c.Failure != "" {
		return stateMissed
	}
	return c.State
}

// lineCheckPath names a path as the status of a Hotline does.
func lineCheckPath(run desk.LineCheckRun, c desk.LineChecked) string {
	if c.DialledBy == run.Peer {
		return "from " + c.Address
	}
	return "to " + c.Address
}
