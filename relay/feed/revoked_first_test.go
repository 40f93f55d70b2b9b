// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/config"
)

// TestWhatIsRevokedGoesFirst: a revocation overtakes what waits before it for a decision.
func TestWhatIsRevokedGoesFirst(t *testing.T) {
	revoked := strings.Replace(indicator(9999, greenID), `"name"`, `"revoked":true,"name"`, 1)
	var objects []string
	for i := range 2 * decideAtOnce {
		objects = append(objects, indicator(i, greenID))
	}
	bundle := envelope(append(objects, revoked)...)
	server := serving(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bundle) })
	for name, fill := range map[string]func(*nation, *config.Config){
		"pushed": func(n *nation, c *config.Config) {
			n.Apply(c)
			push(t, n, "attack", bundle)
		},
		"fetched": func(n *nation, c *config.Config) {
			c.Exports[0].Sources[0].Pull = &config.PulledSource{STIX: &config.Remote{URL: server.URL}}
			n.Apply(c)
			fetched(t, n, int64(len(objects)+1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			alfa := asked(t, plainStore)
			nobody := alfaConfig()
			nobody.Exports[0].Peers = nil
			fill(alfa, nobody)
			somebody := alfaConfig()
			somebody.Exports[0].Sources = nobody.Exports[0].Sources
			alfa.Apply(somebody)
			decided(t, alfa, int64(len(objects)+1))
			if _, body := peerAsks(t, alfa, http.MethodGet, "objects/?limit=1"); !strings.Contains(body, fmt.Sprintf(`"id":%q`, indicatorID(9999))) {
				t.Errorf("the first object is %.300s", body)
			}
		})
	}
}
