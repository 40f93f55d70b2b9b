// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
)

// dying answers PathDead for the delivery siem of the import from-bravo, in pages of one.
func dying(w http.ResponseWriter, r *http.Request) {
	letters := []desk.DeadLetter{
		{Object: "indicator--1", Version: noon, Reason: "the server answers 422\x1b[31m", At: noon},
		{Object: "ipv4-addr--2", Reason: "too large", At: noon, Queued: true},
	}
	switch {
	case r.URL.Path != "/feeds/deliveries/from-bravo/siem/dead":
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodPost:
		w.WriteHeader(http.StatusAccepted)
		_ = json.NewEncoder(w).Encode(desk.Redelivery{Queued: 2})
	case r.URL.Query().Get("after") == "":
		_ = json.NewEncoder(w).Encode(desk.DeadLetters{Letters: letters[:1], Next: 5})
	default:
		_ = json.NewEncoder(w).Encode(desk.DeadLetters{Letters: letters[1:]})
	}
}

func TestDeadLettersAreListed(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(dying))
	for name, output := range map[string]format{"dead.txt": asTable, "dead.json": asJSON} {
		o, s := setup(t)
		if err := o.dead(t.Context(), relay, "from-bravo", "siem", &output); err != nil {
			t.Fatal(err)
		}
		golden(t, name, s.out.String())
	}
	o, _ := setup(t)
	output := asTable
	expect(t, o.dead(t.Context(), relay, "from-bravo", "misp", &output), `no import "from-bravo" with a delivery "misp"`)
}

func TestDeadLettersAreDeliveredAgain(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(dying))
	said, err := relay.Redeliver(t.Context(), "from-bravo", "siem")
	if err != nil || said.Queued != 2 {
		t.Errorf("%+v, %v", said, err)
	}
	_, err = relay.Redeliver(t.Context(), "from-bravo", "a/b")
	expect(t, noDelivery(err, "from-bravo", "a/b"), `no import "from-bravo" with a delivery "a/b"`)
}
