// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/exercise"
)

func exerciseCommand(o *options) *cobra.Command {
	return group(&cobra.Command{
		Use:   "exercise",
		Short: "Run a drill of test messages, and measure it",
	}, exerciseRunCommand(o), exerciseReportCommand(o))
}

func exerciseRunCommand(o *options) *cobra.Command {
	var hotline, officer string
	var output format
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Register a drill with our relay and begin it",
		Long: `Register a drill with our relay and begin it. The relay sends its messages as they are due,
also when this command has ended or the relay was started again. All of them are marked so
that they cannot be taken for real. Repeating the command changes nothing.`,
		Example: `  kubectl certlink hotline exercise run drill.yaml --hotline to-bravo`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			script, err := readScript(args[0])
			if err != nil {
				return err
			}
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			return o.withRelay(ctx, func(s *session, relay *relayclient.Client) error {
				name, err := s.officer(ctx, officer)
				if err != nil {
					return err
				}
				report, err := relay.StartExercise(ctx, hotline, desk.ExerciseRequest{Script: string(script), Officer: name})
				if err != nil {
					return noHotline(err, hotline)
				}
				return o.printExercise(report, &output)
			})
		},
	}
	cmd.Flags().StringVar(&hotline, "hotline", "", "hotline of the drill (required)")
	cmd.Flags().StringVar(&officer, "officer", "", "who begins it (default: your user name at the API server)")
	_ = cmd.MarkFlagRequired("hotline")
	output.addTo(cmd)
	return cmd
}

// readScript reads a drill and says what is wrong with it before anybody is called.
func readScript(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the exercise: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, exercise.MaxScriptBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the exercise: %w", err)
	}
	_, err = exercise.Parse(raw)
	return raw, err
}

func exerciseReportCommand(o *options) *cobra.Command {
	var hotline string
	var output format
	cmd := &cobra.Command{
		Use:   "report NAME",
		Short: "Show what was measured of a drill",
		Long: `Show for each message of a drill when it was sent, stored by the peer, acknowledged and
answered, and whether that was in time. When the drill is over, the other side countersigns
the report, or says where it holds other times. With -o json also what was signed (JWS).`,
		Example: `  kubectl certlink hotline exercise report spring --hotline to-bravo`,
		Args:    cobra.ExactArgs(1),
		RunE: o.atRelay(defaultTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.exerciseReport(ctx, relay, hotline, args[0], &output)
		}),
	}
	cmd.Flags().StringVar(&hotline, "hotline", "", "hotline of the drill (required)")
	_ = cmd.MarkFlagRequired("hotline")
	output.addTo(cmd)
	return cmd
}

func (o *options) exerciseReport(ctx context.Context, relay *relayclient.Client, hotline, name string, output *format) error {
	report, err := relay.ExerciseReport(ctx, hotline, name)
	if relayclient.IsStatus(err, 404) {
		return fmt.Errorf("there is no exercise %q on the hotline %q", name, hotline)
	}
	if err != nil {
		return err
	}
	return o.printExercise(report, output)
}

func (o *options) printExercise(r desk.ExerciseReport, output *format) error {
	if *output != asTable {
		return output.document(o.Out, r)
	}
	fmt.Fprintf(o.Out, "Exercise %s of %s with %s, begun %s\n\n", oneLine(r.Name), oneLine(r.By), oneLine(r.Peer), clock(r.Start))
	rows := [][]string{{"STEP", "PRECEDENCE", "SENT", "RECEIPT", "IN TIME", "ACKNOWLEDGED", "IN TIME", "ANSWERED", "IN TIME", "SUBJECT"}}
	for _, s := range r.Steps {
		rows = append(rows, []string{
			decimal(int64(s.Step)), s.Precedence, stamp(s.Sent), took(s.Sent, s.Receipt), s.ReceiptKept, took(s.Sent, s.Acknowledged), s.AckKept,
			took(s.Sent, s.Answered), s.AnswerKept, s.Subject,
		})
	}
	if err := table(o.Out, rows); err != nil {
		return err
	}
	c := r.Countersignature
	switch {
	case c == nil:
		fmt.Fprintln(o.Out, "\nNot countersigned: the other side does so when the drill is over.")
	case c.Agreed:
		fmt.Fprintf(o.Out, "\nCountersigned as agreed by %s on %s.\n", oneLine(c.By), clock(c.At))
	default:
		fmt.Fprintf(o.Out, "\nCountersigned by %s on %s, which holds other times:\n", oneLine(c.By), clock(c.At))
		for _, d := range c.Differences {
			fmt.Fprintf(o.Out, "  %s\n", oneLine(d))
		}
	}
	return nil
}

// took is how long after the sending something came.
func took(sent, at time.Time) string {
	if sent.IsZero() || at.IsZero() {
		return ""
	}
	return at.Sub(sent).Round(time.Millisecond).String()
}
