// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"net/url"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

func FuzzQuery(f *testing.F) {
	f.Add("match[version]=first,2026-01-01T00:00:00Z&match[spec_version]=2.1&limit=1&added_after=2026-01-01T00:00:00Z")
	f.Add("match[id]=" + toolID + "&match[type]=tool&next=AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		for s := range filters {
			q, err := parseQuery(values, s, readID, nil)
			if err == nil && (q.Limit < 1 || q.Limit > MaxLimit || max(len(q.IDs), len(q.Types), len(q.Specs), len(q.Versions.At)) > store.MaxSelectors) {
				t.Errorf("%q is %+v", text, q)
			}
		}
	})
}
