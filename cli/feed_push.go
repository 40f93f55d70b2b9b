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
	"strings"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
)

// One POST holds at most pageObjects objects and pageBytes, less if the relay
// takes less.
const (
	pageObjects = 1000
	pageBytes   = 8 << 20
	// toldFailures bounds the lines about objects that were refused.
	toldFailures = 50
)

// pushResult is what became of a push.
type pushResult struct {
	Collection string                     `json:"collection"`
	Objects    int                        `json:"objects"`
	Stored     int                        `json:"stored"`
	Refused    int                        `json:"refused"`
	Failures   []relayclient.StatusDetail `json:"failures,omitempty"`
}

func pushCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "push FEED.SOURCE FILE...",
		Short: "Push STIX objects into a source of an export",
		Long: `Push STIX objects into a source of one of our exports. A FILE is a STIX bundle, a
TAXII envelope, an array of objects, or objects one after the other; - is
standard input. Objects are kept byte for byte; pushing the same again is safe.

What leaves, and to whom, is decided by the feed's rule alone: see
kubectl get sfeed. The exit code is 1 if the relay refused an object.`,
		Example:           `  kubectl certlink feed push threats.attack ics-attack.json`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: o.completeSources,
		RunE: o.atRelay(longTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.push(ctx, relay, args[0], args[1:], &output)
		}),
	}
	output.addTo(cmd)
	return cmd
}

func (o *options) push(ctx context.Context, relay *relayclient.Client, collection string, files []string, output *format) error {
	root, err := relay.Root(ctx)
	if err != nil {
		return err
	}
	p := &pusher{relay: relay, result: pushResult{Collection: collection}, limit: pageBytes}
	if root.MaxContentLength > 0 {
		p.limit = min(pageBytes, int(root.MaxContentLength))
	}
	if isTerminal(o.ErrOut) {
		p.progress = o.ErrOut
	}
	for _, file := range files {
		if err = o.pushFile(ctx, p, file); err != nil {
			break
		}
	}
	p.clear()
	if *output != asTable {
		err = errors.Join(err, output.document(o.Out, p.result))
	} else if err == nil || p.result.Stored > 0 {
		o.printPush(p.result)
	}
	if err == nil && p.result.Refused > 0 {
		err = fmt.Errorf("%d of %d objects were refused", p.result.Refused, p.result.Objects)
	}
	return err
}

func (o *options) printPush(r pushResult) {
	for _, failure := range r.Failures {
		fmt.Fprintf(o.ErrOut, "refused %s: %s\n", oneLine(failure.ID), oneLine(failure.Message))
	}
	if more := r.Refused - len(r.Failures); more > 0 {
		fmt.Fprintf(o.ErrOut, "and %d more refused\n", more)
	}
	fmt.Fprintf(o.Out, "%d objects pushed into %s: %d stored, %d refused\n", r.Objects, r.Collection, r.Stored, r.Refused)
}

func (o *options) pushFile(ctx context.Context, p *pusher, name string) error {
	in := o.In
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("reading objects: %w", err)
		}
		defer file.Close()
		in = file
	}
	err := eachObject(in, func(object json.RawMessage) error { return p.add(ctx, object) })
	if err == nil {
		err = p.flush(ctx)
	}
	if err != nil {
		return fmt.Errorf("pushing %q: %w", name, err)
	}
	return nil
}

// pusher gathers objects into pages and posts them.
type pusher struct {
	relay    *relayclient.Client
	limit    int
	progress io.Writer // nil: nobody watches
	result   pushResult

	page []json.RawMessage
	size int
}

func (p *pusher) add(ctx context.Context, object json.RawMessage) error {
	if len(object)+relayclient.EnvelopeOverhead > p.limit {
		return fmt.Errorf("object %q has %d bytes; the relay takes at most %d at once", identifier(object), len(object), p.limit)
	}
	if len(p.page) == pageObjects || p.size+len(object)+1+relayclient.EnvelopeOverhead > p.limit {
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	p.page = append(p.page, object)
	p.size += len(object) + 1
	return nil
}

func identifier(object json.RawMessage) string {
	var o struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(object, &o) != nil || o.ID == "" {
		return "without id"
	}
	return o.ID
}

func (p *pusher) flush(ctx context.Context) error {
	if len(p.page) == 0 {
		return nil
	}
	count := len(p.page)
	status, err := p.relay.Push(ctx, p.result.Collection, p.page)
	p.page, p.size = nil, 0
	if relayclient.IsStatus(err, 404) || relayclient.IsStatus(err, 403) {
		return fmt.Errorf("there is no source %q to push into: name it FEED.SOURCE as in kubectl certlink feed list: %w", p.result.Collection, err)
	}
	if err != nil {
		return err
	}
	if status, err = p.relay.AwaitPush(ctx, status); err != nil {
		return err
	}
	p.result.Objects += count
	p.result.Stored += status.SuccessCount
	p.result.Refused += status.FailureCount
	room := max(0, toldFailures-len(p.result.Failures))
	p.result.Failures = append(p.result.Failures, status.Failures[:min(room, len(status.Failures))]...)
	if p.progress != nil {
		fmt.Fprintf(p.progress, "\r%d objects, %d stored, %d refused", p.result.Objects, p.result.Stored, p.result.Refused)
	}
	return nil
}

// clear takes the progress line off the terminal.
func (p *pusher) clear() {
	if p.progress != nil {
		fmt.Fprint(p.progress, "\r"+strings.Repeat(" ", 78)+"\r")
	}
}
