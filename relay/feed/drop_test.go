// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"testing"

	"github.com/certlink/certlink/relay/stix"
)

// TestANoticeWithoutVersionDropsNoVersions: an object without version is one object; the
// versions of others are named each.
func TestANoticeWithoutVersionDropsNoVersions(t *testing.T) {
	_, bravo := pair(t)
	in := &intake{puller: bravo.importers()[0].puller}
	const address = `{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--00000000-0000-4000-8000-000000000001","value":"192.0.2.1"}`
	objects := []stix.Object{mustParse(t, indicator(1, clearID)), mustParse(t, address)}
	if _, err := bravo.store.PutObjects(t.Context(), importName("from-alfa"), records(objects), ""); err != nil {
		t.Fatal(err)
	}
	if err := in.erase(t.Context(), []dropped{{ID: indicatorID(1)}, {ID: "ipv4-addr--00000000-0000-4000-8000-000000000001"}}); err != nil {
		t.Fatal(err)
	}
	if left := collected(t, bravo, "from-alfa"); len(left) != 1 || left[0] != indicator(1, clearID) {
		t.Errorf("left are %q", left)
	}
}
