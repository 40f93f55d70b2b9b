// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/territory"
)

// rules evaluates a rule with TLP, types, CEL and territory on objects in memory, in
// this process. Reading the object is counted by itself.
func (b *bench) rules(context.Context) error {
	policy, err := rule.NewPolicy(config.Rule{
		MaxTLP: "AMBER", Types: []string{"indicator", "malware"}, CEL: `object.confidence >= 50 && object.pattern_type == "stix"`,
		EmanatesFrom: config.FromPeer, MinAgreement: 1,
	}, []config.Source{{Name: "tool"}}, nil)
	if err != nil {
		return err
	}
	atlas, err := b.atlas()
	if err != nil {
		return err
	}
	area, err := territory.NewArea(config.PeerTerritory{Countries: []string{"XB"}})
	if err != nil {
		return err
	}
	policy = policy.Toward(area, atlas)
	const different = 10_000
	objects := make([]stix.Object, different)
	begun := ownCPU()
	for i := range objects {
		if objects[i], err = stix.Parse(indicators{}.object(i)); err != nil {
			return err
		}
	}
	read := ownCPU() - begun
	begun = ownCPU()
	for i := range b.scale.rules {
		if verdict := policy.Judge(rule.Question{Source: "tool"}, objects[i%different]).Verdict; !verdict.Share {
			return fmt.Errorf("deciding: an object is held: %s", verdict.Reason)
		}
	}
	b.results.AddValue("rule.us_per_object", "us", "<= 5", each(ownCPU()-begun, b.scale.rules), b.scale.rules)
	begun = ownCPU()
	for i := range b.scale.rules {
		if policy.Judge(rule.Question{Source: "tool"}, objects[i%different]).Evidence() == "" {
			return errors.New("deciding: an object has no evidence")
		}
	}
	b.results.AddValue("rule.with_evidence_us_per_object", "us", "", each(ownCPU()-begun, b.scale.rules), b.scale.rules)
	b.results.AddValue("rule.make_and_read_us_per_object", "us", "", each(read, different), different)
	return nil
}

// atlas has one data set of a registry, with 200,000 networks, and those of the
// indicators' addresses among them.
func (b *bench) atlas() (*territory.Atlas, error) {
	var text strings.Builder
	text.WriteString("2|testnic|20260101|1|19830101|20260101|+0000\n")
	for i := range 200_000 {
		_, _ = fmt.Fprintf(&text, "testnic|X%c|ipv4|%d.%d.%d.0|256|20100101|allocated|h%d\n", 'A'+i%26, 1+i>>16, i>>8&255, i&255, i)
	}
	for i, network := range []string{"192.0.2.0", "198.51.100.0", "203.0.113.0"} {
		_, _ = fmt.Fprintf(&text, "testnic|XB|ipv4|%s|256|20100101|allocated|d%d\n", network, i)
	}
	file := filepath.Join(b.dir, "delegated-testnic")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	keeper, err := territory.NewKeeper(territory.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	keeper.Apply(config.Territory{Datasets: []config.Dataset{{Name: "registry", Format: "RIRDelegation", File: file}}})
	return keeper.Current(), nil
}

// ownCPU is the processor time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
