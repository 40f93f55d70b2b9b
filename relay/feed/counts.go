// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// show looks at the counts of all exports, for the report.
func (x *exporter) show(ctx context.Context, failed map[*export]error) {
	p := x.live.Load()
	fresh := map[*export]report.Export{}
	for _, e := range p.exports {
		counted, err := x.count(ctx, p, e)
		if err = errors.Join(failed[e], err); err != nil {
			counted.Error = exportError(e.Name, err)
			x.cfg.Log.WarnContext(ctx, "deciding about an export failed", "feed", e.Name, "error", err)
		}
		fresh[e] = counted
	}
	x.mu.Lock()
	changed := !reflect.DeepEqual(x.counts, fresh)
	x.counts = fresh
	x.mu.Unlock()
	if changed {
		x.cfg.Changed()
	}
}

// count reads the sums that the store keeps. What could not be read is absent.
func (x *exporter) count(ctx context.Context, p *plan, e *export) (report.Export, error) {
	counted := report.Export{Name: e.Name}
	stored, err := x.cfg.Store.CountObjects(ctx, e.stored...)
	if err != nil {
		return counted, err
	}
	counted.Stored = stored
	for _, reader := range p.readers(e) {
		o, err := e.toward(reader, x.atlas())
		if err != nil {
			return counted, err
		}
		if o == nil {
			counted.Undecided = stored
			return counted, nil
		}
		c, err := x.cfg.Store.CountView(ctx, o.view(e, reader), e.stored)
		if err != nil {
			return counted, err
		}
		one := report.ExportPeer{Peer: reader.Name, Shared: c.Shared}
		if one.Refused, err = x.cfg.Store.CountRefusals(ctx, e.Name, reader.TrustDomain); err != nil {
			return counted, err
		}
		for reason, n := range c.Held {
			if n > 0 {
				one.Held = append(one.Held, report.Held{Reason: reason, Objects: n})
			}
		}
		slices.SortFunc(one.Held, func(a, b report.Held) int { return strings.Compare(a.Reason, b.Reason) })
		counted.Undecided = max(counted.Undecided, c.Undecided)
		counted.Peers = append(counted.Peers, one)
	}
	return counted, nil
}

func exportError(name string, err error) string {
	if errors.Is(err, store.ErrFull) {
		return fmt.Sprintf("export %q: our storage is full, so new objects are not shared: make room on the relay's volume", name)
	}
	return fmt.Sprintf("export %q: deciding about new objects fails on our side, they are not shared: %v", name, err)
}

// ReportExports returns what was last seen of each export. One that was not
// looked at yet is absent.
func (e *Engine) ReportExports(context.Context) ([]report.Export, error) {
	x := e.exporter
	p := e.live.Load()
	x.mu.Lock()
	defer x.mu.Unlock()
	var list []report.Export
	for _, one := range p.exports {
		if counted, ok := x.counts[one]; ok {
			counted.Sources = e.reportSources(one.Name)
			list = append(list, counted)
		}
	}
	slices.SortFunc(list, func(a, b report.Export) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}
