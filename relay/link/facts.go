// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
	"time"

	"github.com/certlink/certlink/relay/report"
)

// errNobody tells a client no more than that it is not let in.
var errNobody = errors.New("no peer of ours, or not any more")

// facts describes a TLS session for the report.
func facts(state tls.ConnectionState) report.TLS {
	f := report.TLS{Version: tls.VersionName(state.Version), Group: state.CurveID.String()}
	for _, c := range state.PeerCertificates {
		if f.PeerNotAfter.IsZero() || c.NotAfter.Before(f.PeerNotAfter) {
			f.PeerNotAfter = c.NotAfter
		}
	}
	return f
}

// sometimes lets one call through in each interval.
type sometimes struct {
	every time.Duration
	last  atomic.Int64 // nanoseconds
}

func newSometimes(every time.Duration) *sometimes { return &sometimes{every: every} }

func (s *sometimes) now() bool {
	now, last := time.Now().UnixNano(), s.last.Load()
	return now-last >= s.every.Nanoseconds() && s.last.CompareAndSwap(last, now)
}
