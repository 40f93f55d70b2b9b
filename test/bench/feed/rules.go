// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/stix"
)

// rules evaluates a rule with TLP and CEL on objects in memory, in this process.
func (b *bench) rules(context.Context) error {
	policy, err := rule.NewPolicy(config.Rule{
		MaxTLP: "AMBER", Types: []string{"indicator", "malware"}, CEL: `object.confidence >= 50 && object.pattern_type == "stix"`,
	}, []config.Source{{Name: "tool"}}, nil)
	if err != nil {
		return err
	}
	const different = 10_000
	objects := make([]stix.Object, different)
	for i := range objects {
		if objects[i], err = stix.Parse(indicators{}.object(i)); err != nil {
			return err
		}
	}
	begun := ownCPU()
	for i := range b.scale.rules {
		if verdict := policy.Decide("tool", objects[i%different]); !verdict.Share {
			return fmt.Errorf("deciding: an object is held: %s", verdict.Reason)
		}
	}
	b.results.AddValue("rule.us_per_object", "us", "<= 5", each(ownCPU()-begun, b.scale.rules), b.scale.rules)
	return nil
}

// ownCPU is the processor time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
