// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"fmt"
	"io"
	"testing"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/stream"
)

// A cause of protocol asks a person to act, and slows the next tries down.
func TestWhatCrossesOnTheWayIsNoFaultOfTheProtocol(t *testing.T) {
	for err, want := range map[error]report.Cause{
		stream.ErrGlare:    report.CauseUnreachable,
		stream.ErrRefused:  report.CauseUnreachable,
		stream.ErrBusy:     report.CauseUnreachable,
		stream.ErrClosed:   report.CauseUnreachable,
		stream.ErrAborted:  report.CauseUnreachable,
		io.EOF:             report.CauseUnreachable,
		stream.ErrProtocol: report.CauseProtocol,
	} {
		if got := classify("192.0.2.1:8443", fmt.Errorf("doing something: %w", err)); got.Cause != want {
			t.Errorf("%v: cause %s, want %s", err, got.Cause, want)
		}
	}
}
