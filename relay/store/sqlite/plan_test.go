// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"strings"
	"testing"
)

// filled is a statement with its arguments in it.
func filled(c *clause) string {
	text := c.text.String()
	for _, arg := range c.args {
		text = strings.Replace(text, "?", fmt.Sprintf("'%v'", arg), 1)
	}
	return text
}

// arguments is a statement with arguments of few kinds in it.
func arguments(query string) string {
	return strings.NewReplacer("?1", "'b'", "?2", "7", "?3", "9").Replace(query)
}

func explain(t *testing.T, s *Store, query string, args ...any) string {
	t.Helper()
	rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "; ")
}
