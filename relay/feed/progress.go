// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
)

// showProgressAfter is how long a pull takes before the report speaks of it.
const showProgressAfter = 5 * time.Second

// progress of a pull that is under way; the zero value is none.
type progress struct {
	started time.Time
	// objects received, refused ones and duplicates too.
	objects int64
	// done of total, in bytes or in events; total is zero while it is not known.
	done, total int64
}

// forReport rounds, so that the report of a long pull changes in steps.
func (p progress) forReport(now time.Time) report.Progress {
	if p.started.IsZero() || now.Sub(p.started) < showProgressAfter {
		return report.Progress{}
	}
	return report.Progress{Started: p.started.Truncate(time.Second), Objects: step(p.objects), Percent: p.percent() / 10 * 10}
}

func (p progress) percent() int32 {
	if p.total <= 0 || p.done <= 0 {
		return 0
	}
	return int32(min(100, 100*float64(p.done)/float64(p.total)))
}

// step rounds down to 1, 2 or 5 times a power of ten.
func step(n int64) int64 {
	for unit := int64(1); ; unit *= 10 {
		switch {
		case n < 2*unit:
			return n / unit * unit
		case n < 5*unit:
			return 2 * unit
		case n < 10*unit:
			return 5 * unit
		}
	}
}

// Pulls implements desk.Puller: how far the import, or the fetched sources of the
// export, with a name have come; of all feeds if it is empty.
func (e *Engine) Pulls(_ context.Context, feed string) ([]desk.Pull, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []desk.Pull
	for _, i := range e.imports {
		if feed == "" || feed == i.name {
			list = append(list, i.pullState(desk.Pull{Feed: i.name, From: i.peer.Name}))
		}
	}
	for _, f := range e.fetchers {
		if feed == "" || feed == f.export {
			list = append(list, f.pullState(desk.Pull{Feed: f.export, Source: f.name, From: f.from()}))
		}
	}
	slices.SortFunc(list, func(a, b desk.Pull) int {
		return strings.Compare(a.Feed+"\x00"+a.Source, b.Feed+"\x00"+b.Source)
	})
	return list, nil
}

// pullState fills in what a puller knows.
func (p *puller) pullState(d desk.Pull) desk.Pull {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.Stored, d.Refused, d.LastSuccess, d.Error = p.now.Stored, p.now.Refused, p.now.LastSuccess, p.now.Error
	d.QuotaReached = p.now.QuotaReached
	d.Started, d.Objects, d.Done, d.Total = p.progress.started, p.progress.objects, p.progress.done, p.progress.total
	return d
}
