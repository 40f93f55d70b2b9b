// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/certlink/certlink/relay/message"

	"github.com/certlink/certlink/relay/link"
)

// noting notes whether the last request was to go over all paths at once.
type noting struct{ all bool }

func (n *noting) RoundTrip(r *http.Request) (*http.Response, error) {
	n.all = link.OverAllPaths(r.Context())
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

func TestFLASHGoesOverAllPathsAtOnce(t *testing.T) {
	way := &noting{}
	l := newLine(&Engine{cfg: Config{
		Client: func(string) *http.Client { return &http.Client{Transport: way} },
		Log:    slog.New(slog.DiscardHandler),
	}}, "bravo.example")
	for _, precedence := range message.Precedences {
		if _, err := l.post(over(t.Context(), precedence), []byte("signed")); err != nil {
			t.Fatal(err)
		}
		if want := precedence == "FLASH"; way.all != want {
			t.Errorf("%s goes over all paths: %v, want %v", precedence, way.all, want)
		}
	}
}
