// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
)

// The marking definitions of TLP 2.0 GREEN and RED (FIRST, STIX).
const (
	tlpGreen = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
	tlpRed   = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"
)

// link waits until both sides have proven both directions.
func link(ctx context.Context, out io.Writer, alfa, bravo *nation) error {
	for _, n := range []*nation{alfa, bravo} {
		var peer report.Peer
		err := until(ctx, n.name+" has proven its link", func(ctx context.Context) (bool, error) {
			r, err := n.report(ctx)
			if err != nil || len(r.Peers) == 0 {
				return false, err
			}
			peer = r.Peers[0]
			return peer.Outbound.State == report.Up && peer.Inbound.State == report.Up, nil
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%-5s link to %s is up in both directions: %s, %s, round trip %.1f ms\n",
			n.name, peer.Name, peer.TLS.Version, peer.TLS.Group, peer.Paths[0].RoundTripMilliseconds)
	}
	return nil
}

// feed pushes one object that may leave and one that may not.
func feed(ctx context.Context, out io.Writer, alfa, bravo *nation) error {
	status, err := alfa.desk.Push(ctx, "threats.own", []json.RawMessage{
		indicator("0f4f3c7b-5bd1-4b9f-9cb5-9b1f5ed1a001", "198.51.100.7", tlpGreen),
		indicator("0f4f3c7b-5bd1-4b9f-9cb5-9b1f5ed1a002", "203.0.113.9", tlpRed),
	})
	if err == nil {
		status, err = alfa.desk.AwaitPush(ctx, status)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "alfa  pushed %d objects into its feed, one TLP:GREEN and one TLP:RED\n", status.SuccessCount)
	var arrived []json.RawMessage
	err = until(ctx, "bravo has the green object", func(ctx context.Context) (bool, error) {
		page, err := bravo.desk.Objects(ctx, "from-alfa", "", 0)
		arrived = page.Objects
		return len(arrived) > 0, err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "bravo received %d: %s\n", len(arrived), arrived[0])
	return until(ctx, "alfa reports what it holds", func(ctx context.Context) (bool, error) {
		r, err := alfa.report(ctx)
		if err != nil || len(r.Exports) == 0 || len(r.Exports[0].Peers) == 0 || len(r.Exports[0].Peers[0].Held) == 0 {
			return false, err
		}
		for _, h := range r.Exports[0].Peers[0].Held {
			fmt.Fprintf(out, "alfa  held back %d: %s\n", h.Objects, h.Reason)
		}
		return true, nil
	})
}

func indicator(id, address, marking string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--%s",`+
		`"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","object_marking_refs":["%s"],`+
		`"pattern":"[ipv4-addr:value = '%s']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`, id, marking, address))
}

// hotline sends a message, waits for the receipt and acknowledges it.
func hotline(ctx context.Context, out io.Writer, alfa, bravo *nation) error {
	sent, err := alfa.desk.Send(ctx, desk.SendRequest{
		Hotline: "bravo", Kind: "INQUIRY", Precedence: "FLASH", TLP: "AMBER", Officer: "Duty officer of CERT Alfa",
		Subject: "198.51.100.7", Text: "We see attacks from this address. Is the machine under your control?",
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "alfa  message %s, serial %d, is on stable storage at %s\n", sent.ID, sent.Serial, clock(sent.StoredAt))
	wait := func(state string) error {
		return until(ctx, "the message is "+state, func(ctx context.Context) (bool, error) {
			m, err := alfa.desk.Get(ctx, "out", sent.Peer, sent.ID)
			if err == nil {
				sent = m
			}
			return m.State == state, err
		})
	}
	if err := wait("Stored"); err != nil {
		return err
	}
	fmt.Fprintf(out, "alfa  bravo's receipt is proven under its signed checkpoint: stored there at %s\n      %.60s…\n", clock(sent.ReceiptAt), sent.Receipt)
	if _, err := bravo.desk.Acknowledge(ctx, alfa.ca.TrustDomain, sent.ID, desk.AckRequest{Officer: "Duty officer of CERT Bravo"}); err != nil {
		return err
	}
	if err := wait("Acknowledged"); err != nil {
		return err
	}
	fmt.Fprintf(out, "alfa  acknowledged by %q at %s\n", sent.AcknowledgedBy, clock(sent.AcknowledgedAt))
	return nil
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000000Z") }
