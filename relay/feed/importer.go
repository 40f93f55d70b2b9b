// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/taxii"
)

const (
	defaultInterval   = time.Minute
	defaultMaxObjects = 1_000_000
)

// importer collects one collection of one peer.
type importer struct {
	*puller
	conf config.Import
	peer config.Peer
	walk walk // the goroutine of run alone uses it, and debt
	debt debt
}

func newImporter(e *Engine, conf config.Import, peer config.Peer, old *importer) *importer {
	var before *puller
	if old != nil {
		before = old.puller
	}
	i := &importer{
		puller: newPuller(e, conf.Name, importName(conf.Name), before), conf: conf, peer: peer,
		walk: walk{server: peer.TrustDomain, collection: conf.Collection},
	}
	i.errand, i.counts = i, e.metrics.ofImport(conf.Name)
	i.puller.peer = peer.Name
	i.interval = secondsOr(conf.IntervalSeconds, defaultInterval)
	i.quota = orDefault(conf.MaxObjects, defaultMaxObjects)
	return i
}

// same tells whether an import need not be started anew.
func (i *importer) same(conf config.Import, peer config.Peer) bool {
	return reflect.DeepEqual(i.conf, conf) && i.peer.TrustDomain == peer.TrustDomain && i.peer.State == peer.State && i.peer.Name == peer.Name
}

func (i *importer) paused() bool { return !active(i.peer) }

func (i *importer) resume(cursor string) { i.walk.resume(cursor) }

// pull reads the collection from where the last pull has ended to its end.
func (i *importer) pull(ctx context.Context, in *intake) error {
	client, err := taxii.NewClient(taxii.ClientConfig{
		HTTP: i.cfg.Client(i.peer.TrustDomain), Server: "https://" + i.peer.TrustDomain, Logger: i.cfg.Log,
	})
	if err != nil {
		return err
	}
	in.debt = &i.debt
	before := i.received()
	err = i.walk.pull(ctx, client, in)
	i.debt.received += i.received() - before
	if err == nil {
		i.acknowledge(ctx)
	}
	return err
}

// received counts the objects of the present pull.
func (i *importer) received() int64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.progress.objects
}

func (i *importer) explain(err error) string { return explain(i.peer, i.conf.Collection, err) }

func secondsOr(n int32, otherwise time.Duration) time.Duration {
	if n <= 0 {
		return otherwise
	}
	return time.Duration(n) * time.Second
}

func orDefault(n, otherwise int64) int64 {
	if n <= 0 {
		return otherwise
	}
	return n
}

// ReportImports returns the state of each import. One that was not looked at yet
// is absent.
func (e *Engine) ReportImports(context.Context) ([]report.Import, error) {
	var list []report.Import
	for _, i := range e.importers() {
		if shown, ok := i.reported(); ok {
			list = append(list, shown)
		}
	}
	slices.SortFunc(list, func(a, b report.Import) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}
