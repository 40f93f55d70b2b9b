// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// TestPlansOfMessageLists: no list looks through all messages, or sorts them. What joins the messages of a direction to the
// newest of each line does worse: the server does it anew for each message.
func TestPlansOfMessageLists(t *testing.T) {
	s := open(t)
	for name, c := range map[string]struct {
		q     store.MessageQuery
		index string
	}{
		"one direction":           {store.MessageQuery{Direction: store.In, Before: 7, Limit: 9}, "messages_by_direction"},
		"one kind of a direction": {store.MessageQuery{Direction: store.Out, Kind: "INQUIRY", Limit: 9}, "messages_by_direction"},
		"what was said on a line": {store.MessageQuery{Peer: "b", Limit: 9}, "messages_by_peer"},
		"the terms of a line":     {store.MessageQuery{Direction: store.In, Peer: "b", Kind: "TERM", Limit: 9}, "messages_terms"},
	} {
		t.Run(name, func(t *testing.T) {
			list := listMessages(c.q)
			err := s.look(t.Context(), s.bulk, "explaining", func(ctx context.Context, tx pgx.Tx) error {
				plan, err := explainPlan(ctx, tx, list.sql(), list.args...)
				if !strings.Contains(plan, c.index+" ") || strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") || strings.Contains(plan, "Nested Loop") {
					t.Error(plan)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
