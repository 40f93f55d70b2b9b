// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestAnUrgentMessageLooksForItsConversationAndNotThroughTheQueue(t *testing.T) {
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "relay.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, statement := range hurryTalk {
		plan := explain(t, s, statement, 0, "bravo.example", "talk")
		if !strings.Contains(plan, "queued USING INDEX queued_talk (peer=? AND talk=? AND urgency>?)") {
			t.Errorf("%s: %s", statement, plan)
		}
	}
}
