// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/config"
)

const example = "../../relay/config/testdata/accepted/full.yaml"

func TestRun(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("kind: Other\ncolour: red\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		out  string
		err  string
	}{
		{"prints_the_version", []string{"--version"}, "\n", ""},
		{"prints_the_effective_configuration", []string{"--config", example, "--print-config"}, "maxObjects: 1000000", ""},
		{"helps", []string{"--help"}, "", ""},
		{"asks_for_a_file", nil, "", "--config FILE is missing"},
		{"takes_flags_only", []string{"--version", "x"}, "", `unknown argument "x"`},
		{"says_which_file_is_missing", []string{"--config", "/nowhere/relay.yaml"}, "", "/nowhere/relay.yaml"},
		{"says_what_is_wrong_with_a_file", []string{"--config", bad}, "", "colour: unknown field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), c.args, &out, io.Discard)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("err = %v, want %q", err, c.err)
			}
			if !strings.Contains(out.String(), c.out) {
				t.Errorf("out = %q, want %q in it", out.String(), c.out)
			}
		})
	}
}

func TestLiveKeepsTheLastGoodConfiguration(t *testing.T) {
	good, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Decode(good)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "relay.yaml")
	l := newLive(file, cfg, config.Checksum(good))
	log := slog.New(slog.DiscardHandler)
	var applied *config.Config
	var refuse error
	apply := func(c *config.Config) error { applied = c; return refuse }
	step := func(text string) bool {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return l.reread(log, apply)
	}

	if step(string(good)) || applied != nil {
		t.Error("the file that is live was applied again")
	}
	next := strings.Replace(string(good), "state: Suspended", "state: Active", 1)
	if !step(next) || applied.Peers[0].State != config.Active || l.State().Checksum != config.Checksum([]byte(next)) {
		t.Errorf("a new file is not live: %+v", l.State())
	}
	for says, bad := range map[string]string{
		"colour: unknown field":    next + "colour: red\n",
		"listen: cannot change":    strings.Replace(next, ":8443", ":8444", 1),
		"store: cannot change":     strings.Replace(next, "relay.db", "other.db", 1),
		"identity.trustDomain: is": strings.Replace(next, "trustDomain: alfa.example", "trustDomain: delta.example", 1),
	} {
		applied = nil
		if !step(bad) || applied != nil {
			t.Errorf("%s: applied or not told", says)
		}
		state := l.State()
		if state.Checksum != config.Checksum([]byte(next)) || state.RejectedChecksum != config.Checksum([]byte(bad)) || !strings.Contains(state.Error, says) {
			t.Errorf("%s: %+v", says, state)
		}
	}
	refuse = errors.New("cannot")
	if step(string(good)); !strings.Contains(l.State().Error, "cannot") || l.config().Peers[0].State != config.Active {
		t.Errorf("a configuration that could not be applied is live: %+v", l.State())
	}
	refuse = nil
	if !step(next) || l.State().Error != "" || l.State().RejectedChecksum != "" {
		t.Errorf("the refusal is still told: %+v", l.State())
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if !l.reread(log, apply) || l.State().Checksum != config.Checksum([]byte(next)) || l.State().Error == "" {
		t.Errorf("a file that is gone: %+v", l.State())
	}
}
