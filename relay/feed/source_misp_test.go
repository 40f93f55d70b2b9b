// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/config"
)

// mispEvent is an event with one attribute.
func mispEvent(n int) (id, text string) {
	id = fmt.Sprintf("5f1c2d3e-0000-4000-8000-%012d", n)
	return id, fmt.Sprintf(`{"Event":{"uuid":%q,"info":"x","date":"2026-01-01","timestamp":"176722560%d","published":true,"distribution":"3","Tag":[{"name":"tlp:clear"}],`+
		`"Orgc":{"name":"CERT Alfa","uuid":"5f1c2d3e-0000-4000-8000-0000000000aa"},`+
		`"Attribute":[{"uuid":"5f1c2d3e-0000-4000-8000-0000000100%02d","type":"ip-dst","category":"Network activity","value":"192.0.2.%d","to_ids":true,"timestamp":"1767225600","distribution":"5"}]}}`,
		id, n, n, n)
}

// TestAnEventThatIsDeniedIsToldAndTheOthersAreRead: it counts as a pull that succeeded, since
// all that there is to be had has come, and it says what has not.
func TestAnEventThatIsDeniedIsToldAndTheOthersAreRead(t *testing.T) {
	first, _ := mispEvent(1)
	second, text := mispEvent(2)
	server := serving(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/feed/manifest.json":
			fmt.Fprintf(w, `{%q:{"timestamp":"1767225601","info":"x"},%q:{"timestamp":"1767225602","info":"x"}}`, first, second)
		case "/feed/" + second + ".json":
			_, _ = io.WriteString(w, text)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	})
	alfa := side(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport)
	alfa.Apply(fetching(config.PulledSource{MISP: &config.Remote{URL: server.URL + "/feed/"}}))
	eventually(t, "the other event is read, and the denied one is told", func() bool {
		s := sourceOf(t, alfa)
		return s.Stored > 1 && s.Failing.IsZero() && !s.LastSuccess.IsZero() && strings.Contains(s.Error, first) && strings.Contains(s.Error, "403")
	})
	if all := strings.Join(collected(t, alfa, "threats.attack"), "\n"); !strings.Contains(all, "192.0.2.2") {
		t.Errorf("the other event is not there:\n%s", all)
	}
	told := sourceOf(t, alfa)
	alfa.fetchers[0].wake()
	alfa.fetchers[0].wake()
	eventually(t, "another pull tells the same, and counts nothing again", func() bool { return sourceOf(t, alfa) == told })
}
