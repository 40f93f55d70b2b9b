// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/test/bench/relays"
)

// postgres is the exchange between two relays whose stores are in one PostgreSQL
// server. Its processor time counts too.
func (b *bench) postgres(ctx context.Context) (err error) {
	server, err := testpostgres.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	dir := filepath.Join(b.dir, "postgres")
	defer os.RemoveAll(dir)
	w, err := found(ctx, dir, b.binary, func(n *relays.Nation) error { return onServer(ctx, server, dir, n) })
	if err != nil {
		return err
	}
	defer w.stop()
	w.server = server
	c, err := b.exchange(ctx, w, indicators{}, b.scale.postgres)
	if err != nil {
		return err
	}
	used := c.exporting + c.importing + c.server
	b.results.AddValue("feed.postgres.objects_per_cpu_s", "1/s", ">= 20000", float64(c.objects)/used.Seconds(), c.objects)
	b.results.AddValue("feed.postgres.server_us_per_object", "us", "", each(c.server, c.objects), c.objects)
	b.results.AddValue("feed.postgres.relays_us_per_object", "us", "", each(c.exporting+c.importing, c.objects), c.objects)
	return nil
}

// onServer gives a nation a schema of its own in the place of its file.
func onServer(ctx context.Context, server *testpostgres.Server, dir string, n *relays.Nation) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err := conn.Exec(ctx, "CREATE SCHEMA "+n.Name); err != nil {
		return fmt.Errorf("making a schema: %w", err)
	}
	file := filepath.Join(dir, n.Name, "postgres-url")
	if err := os.WriteFile(file, []byte(server.URL("postgres")+"&search_path="+n.Name), 0o600); err != nil {
		return err
	}
	n.Config.Store = config.Store{Postgres: &config.Postgres{URLFile: file, MaxConnections: 8}}
	return nil
}
