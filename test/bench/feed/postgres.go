// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/test/bench/relays"
)

// postgres is the exchange between two relays whose stores are in PostgreSQL, each in
// a server of its own. The servers' processor time counts as the relays' does.
func (b *bench) postgres(ctx context.Context) (err error) {
	dir := filepath.Join(b.dir, "postgres")
	defer os.RemoveAll(dir)
	var servers [2]*testpostgres.Server
	defer func() {
		for _, s := range servers {
			if s != nil {
				err = errors.Join(err, s.Close())
			}
		}
	}()
	started := 0
	w, err := found(ctx, dir, b.binary, func(n *relays.Nation) (err error) {
		if servers[started], err = testpostgres.New(); err != nil {
			return err
		}
		file := filepath.Join(dir, n.Name, "postgres-url")
		if err := os.WriteFile(file, []byte(servers[started].URL("postgres")), 0o600); err != nil {
			return err
		}
		n.Config.Store = config.Store{Postgres: &config.Postgres{URLFile: file, MaxConnections: 8}}
		started++
		return nil
	})
	if err != nil {
		return err
	}
	defer w.stop()
	w.databases = servers
	c, err := b.exchange(ctx, w, indicators{}, b.scale.postgres)
	if err != nil {
		return err
	}
	b.results.AddValue("feed.postgres.objects_per_cpu_s", "1/s", ">= 20000", c.perSecond(), c.objects)
	b.results.AddValue("feed.postgres.export_us_per_object", "us", "", each(c.exporting, c.objects), c.objects)
	b.results.AddValue("feed.postgres.import_us_per_object", "us", "", each(c.importing, c.objects), c.objects)
	b.results.AddValue("feed.postgres.push_decide_us_per_object", "us", "", each(c.push, c.objects), c.objects)
	return nil
}
