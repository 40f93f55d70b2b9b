// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

func escalationsCommand(o *options) *cobra.Command {
	var output format
	q := desk.EscalationQuery{Limit: 50}
	cmd := &cobra.Command{
		Use:   "escalations HOTLINE",
		Short: "Show whom our relay told of silence and of new messages, and what became of it",
		Long: `Show what the notifiers of a hotline were, or are to be, told, the newest first: steps of
the escalation, what is over again, and new messages. A step that is Failing is tried again
until it is taken or the situation is over.`,
		Example: `  kubectl certlink hotline escalations to-bravo
  kubectl certlink hotline escalations to-bravo --message 01J… -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeHotlines,
		RunE: o.atRelay(defaultTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.escalations(ctx, relay, args[0], q, &output)
		}),
	}
	cmd.Flags().StringVar(&q.Message, "message", "", "show what is about the message with this `id` only")
	cmd.Flags().StringVar(&q.Event, "event", "", "show one `event` only: Escalated, Settled or Delivered")
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "show at most so many, 1 to 1000")
	words(cmd, "event", "Escalated", "Settled", "Delivered")
	output.addTo(cmd)
	return cmd
}

func (o *options) escalations(ctx context.Context, relay *relayclient.Client, hotline string, q desk.EscalationQuery, output *format) error {
	if q.Event != "" {
		if err := oneOf("event", q.Event, "Escalated", "Settled", "Delivered"); err != nil {
			return err
		}
	}
	list, err := relay.Escalations(ctx, hotline, q)
	if err != nil {
		return noHotline(err, hotline)
	}
	if *output != asTable {
		return output.document(o.Out, list)
	}
	rows := [][]string{{"DECIDED", "EVENT", "STAGE", "STEP", "NTH", "MESSAGE", "NOTIFIER", "STATE", "ATTEMPTS", "ERROR"}}
	for _, n := range list.Notices {
		rows = append(rows, []string{
			stamp(n.At), oneLine(n.Event), dash(n.Stage), dash(n.Step), times(n.Occurrence), oneLine(n.Direction + " " + n.Message), oneLine(n.Notifier), oneLine(n.State),
			decimal(int64(n.Attempts)), dash(n.Error),
		})
	}
	return table(o.Out, rows)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return oneLine(s)
}

func times(n int32) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(int(n))
}

func notifyTestCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "notify-test HOTLINE NOTIFIER",
		Short: "Send a test to a notifier, marked as one, and say which layer fails",
		Long: `Make our relay tell a notifier of a hotline a test: the way that every notification goes,
with the same credentials, clearly marked TEST. The command says what took it, or which layer
failed: Secret, Name, Network, TLS, Login or Server. The test stands in the journal.`,
		Example:           `  kubectl certlink hotline notify-test to-bravo duty-pager`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: o.completeNotifiers(),
		RunE: o.atRelay(longTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.notifyTest(ctx, relay, args[0], args[1], &output)
		}),
	}
	output.addTo(cmd)
	return cmd
}

func (o *options) notifyTest(ctx context.Context, relay *relayclient.Client, hotline, notifier string, output *format) error {
	test, err := relay.TestNotifier(ctx, hotline, notifier)
	if relayclient.IsStatus(err, 404) {
		return fmt.Errorf("our relay has no hotline %q with a notifier %q: see spec.notifiers of kubectl get hotline %s -o yaml", hotline, notifier, hotline)
	}
	if err != nil {
		return err
	}
	if *output != asTable {
		if err := output.document(o.Out, test); err != nil {
			return err
		}
	} else if test.Taken {
		fmt.Fprintf(o.Out, "%s (%s) took the test %s in %d ms: see whether it has arrived\n", oneLine(test.Notifier), oneLine(test.Kind), oneLine(test.ID), test.Milliseconds)
	}
	if !test.Taken {
		return fmt.Errorf("%s (%s) did not take the test, it failed at the layer %s: %s", oneLine(test.Notifier), oneLine(test.Kind), oneLine(test.Layer), oneLine(test.Error))
	}
	return nil
}
