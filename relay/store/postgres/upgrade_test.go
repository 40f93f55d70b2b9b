// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/store/storetest"
)

func TestMessagesOfBeforeProofsWereSharedKeepTheirStates(t *testing.T) {
	uri := testpostgres.Shared(t).Fresh(t)
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
		raw(t, uri, string(script))
	}
	raw(t, uri, "CREATE TABLE certlink_schema (one boolean PRIMARY KEY DEFAULT true, version integer NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid())",
		fmt.Sprintf("INSERT INTO certlink_schema (version) VALUES (%d)", version),
		"INSERT INTO signer_chains (chain, hash) VALUES (CAST('chain' AS bytea), sha256(CAST('chain' AS bytea)))")
	raw(t, uri, storetest.OldMessages("bytea")...)
	storetest.Upgraded(t, openAt(t, uri))
}
