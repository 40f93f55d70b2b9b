// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/store/storetest"
)

func TestMessagesOfBeforeReceiptsHadATableKeepTheirStates(t *testing.T) {
	registerKey()
	path := filepath.Join(t.TempDir(), "relay.db")
	known, err := steps()
	if err != nil {
		t.Fatal(err)
	}
	version := 1 + slices.IndexFunc(known, func(name string) bool { return strings.HasSuffix(name, storetest.OldSchema) })
	for _, name := range known[:version] {
		script, err := migrations.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		raw(t, path, string(script))
	}
	raw(t, path, fmt.Sprintf("PRAGMA application_id = %d", applicationID), fmt.Sprintf("PRAGMA user_version = %d", version),
		"INSERT INTO signer_chains (chain) VALUES (CAST('chain' AS BLOB))")
	raw(t, path, storetest.OldMessages("BLOB")...)
	storetest.Upgraded(t, open(t, path))
}
