// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDelete(t *testing.T) {
	for name, tt := range map[string]struct {
		id, query string
		want      []string
	}{
		"5.7_the_last_version":           {toolID, "", pick(0, 1, 2, 3, 4)},
		"5.7_all_versions":               {toolID, "?match[version]=all", pick(1, 3, 4)},
		"5.7_one_version":                {toolID, "?match[version]=2026-01-02T00:00:00Z", pick(1, 2, 3, 4, 5)},
		"5.7_the_newest_spec_version":    {mixedID, "?match[version]=all", pick(0, 1, 2, 3, 5)},
		"5.7_a_spec_version":             {mixedID, "?match[spec_version]=2.0", pick(0, 2, 3, 4, 5)},
		"5.7_what_has_no_version":        {addrID, "", pick(0, 1, 2, 4, 5)},
		"5.7_all_versions_of_both_specs": {mixedID, "?match[version]=all&match[spec_version]=2.0,2.1", pick(0, 2, 3, 5)},
	} {
		t.Run(name, func(t *testing.T) {
			h := conforming(t)
			resp := do(t, h, "DELETE", inBoth+"objects/"+tt.id+"/"+tt.query, "")
			if body := text(t, resp); resp.StatusCode != http.StatusOK || body != "" || resp.Header.Get("Content-Type") != MediaType {
				t.Errorf("answer = %d %q", resp.StatusCode, body)
			}
			if diff := cmp.Diff(tt.want, read(t, h, "objects/", "match[version]=all&match[spec_version]=2.0,2.1").objects); diff != "" {
				t.Errorf("what is left (-want +got):\n%s", diff)
			}
		})
	}
}
