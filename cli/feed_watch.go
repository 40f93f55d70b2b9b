// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

// watchEvery is the time between two looks at pulls.
const watchEvery = time.Second

// watchTimeout is for the largest feed over a thin line.
const watchTimeout = 12 * time.Hour

func watchCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "watch [FEED]",
		Short: "Watch imports and fetched sources until no pull is under way",
		Long: `Watch how far our relay has come with what it pulls: imports from peers and the
sources of our exports that it fetches, of one feed or of all. It ends when no pull
is under way, and prints the state of each.

-o json and -o yaml print the state of this moment and do not wait.`,
		Example:           `  kubectl certlink feed watch from-bravo`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.completeCollections,
		RunE: func(cmd *cobra.Command, args []string) error {
			feed := ""
			if len(args) > 0 {
				feed = args[0]
			}
			ctx, cancel := o.within(cmd, watchTimeout)
			defer cancel()
			return o.withRelay(ctx, func(_ *session, relay *relayclient.Client) error {
				if output == asTable {
					return o.watch(ctx, relay, feed, watchEvery)
				}
				list, err := relay.Pulls(ctx, feed)
				if err != nil {
					return err
				}
				return output.document(o.Out, desk.Pulls{Pulls: list})
			})
		},
	}
	output.addTo(cmd)
	return cmd
}

// watch shows pulls until none is under way, then prints how each stands.
func (o *options) watch(ctx context.Context, relay *relayclient.Client, feed string, every time.Duration) error {
	show := o.lines()
	if isTerminal(o.ErrOut) {
		show = o.bar()
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		list, err := relay.Pulls(ctx, feed)
		if err != nil {
			return err
		}
		if feed != "" && len(list) == 0 {
			return fmt.Errorf("our relay pulls nothing for a feed %q: see kubectl get sfeed", feed)
		}
		if !show(list) {
			return o.printPulls(list)
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return errors.New("a pull is still under way, and goes on: watch again, or longer with --timeout")
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// lines prints a line for each pull whose percentage, or number of objects, has
// moved on by a step. It tells whether a pull is under way.
func (o *options) lines() func([]desk.Pull) bool {
	told := map[string]string{}
	return func(list []desk.Pull) bool {
		busy := false
		for _, p := range list {
			if p.Started.IsZero() {
				continue
			}
			busy = true
			if text := far(p); told[p.Feed+"/"+p.Source] != text {
				told[p.Feed+"/"+p.Source] = text
				fmt.Fprintf(o.ErrOut, "%s from %s: %s\n", oneLine(pullName(p)), oneLine(p.From), text)
			}
		}
		return busy
	}
}

// far says in words how far a pull has come.
func far(p desk.Pull) string {
	if p.Total > 0 {
		return fmt.Sprintf("%d objects, %d %%", p.Objects, percent(p.Done, p.Total))
	}
	return fmt.Sprintf("%d objects", p.Objects)
}

func percent(done, total int64) int64 {
	return min(100, int64(100*float64(done)/float64(total)))
}

// bar draws one bar over all pulls that are under way; without any whose length is
// known, a wheel that turns.
func (o *options) bar() func([]desk.Pull) bool {
	b := progressbar.NewOptions64(100, progressbar.OptionSetWriter(o.ErrOut), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30))
	return func(list []desk.Pull) bool {
		var objects, shares, known int64
		busy := 0
		for _, p := range list {
			if p.Started.IsZero() {
				continue
			}
			busy++
			objects += p.Objects
			if p.Total > 0 {
				known++
				shares += percent(p.Done, p.Total)
			}
		}
		if busy == 0 {
			_ = b.Finish() // a terminal that is gone has nobody before it
			return false
		}
		b.Describe(fmt.Sprintf("%d pulls, %d objects", busy, objects))
		if known == 0 {
			b.ChangeMax64(-1)
			_ = b.Add(1)
			return true
		}
		b.ChangeMax64(100)
		_ = b.Set64(shares / known)
		return true
	}
}

func (o *options) printPulls(list []desk.Pull) error {
	rows := [][]string{{"FEED", "SOURCE", "FROM", "STORED", "REFUSED", "LAST SUCCESS", "STATE"}}
	for _, p := range list {
		state := "ok"
		switch {
		case p.Error != "":
			state = oneLine(p.Error)
		case p.QuotaReached:
			state = "the quota is reached: raise maxObjects"
		case p.LastSuccess.IsZero():
			state = "not pulled yet"
		}
		rows = append(rows, []string{p.Feed, p.Source, oneLine(p.From), fmt.Sprint(p.Stored), fmt.Sprint(p.Refused), stamp(p.LastSuccess), state})
	}
	return table(o.Out, rows)
}

func pullName(p desk.Pull) string {
	if p.Source == "" {
		return p.Feed
	}
	return p.Feed + "." + p.Source
}
