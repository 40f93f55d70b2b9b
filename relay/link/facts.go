// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/report"
)

// errNobody tells a client no more than that it is not let in.
var errNobody = errors.New("no peer of ours, or not any more")

// errClosedAtOnce: a connection ended before it was of use.
var errClosedAtOnce = fmt.Errorf("the connection was closed at once: %w", io.EOF)

// facts describes a TLS session for the report.
func facts(state *tls.ConnectionState) report.TLS {
	f := report.TLS{Version: tls.VersionName(state.Version), Group: state.CurveID.String()}
	for _, c := range state.PeerCertificates {
		if f.PeerNotAfter.IsZero() || c.NotAfter.Before(f.PeerNotAfter) {
			f.PeerNotAfter = c.NotAfter
		}
	}
	return f
}

// sometimes lets one call through in each interval, for each key.
type sometimes struct {
	every time.Duration

	mu   sync.Mutex // guards what follows
	last map[string]time.Time
}

func newSometimes(every time.Duration) *sometimes {
	return &sometimes{every: every, last: map[string]time.Time{}}
}

// now tells whether it is the key's time. Keys whose interval is over are forgotten.
func (s *sometimes) now(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(s.last, func(_ string, last time.Time) bool { return now.Sub(last) >= s.every })
	if _, early := s.last[key]; early {
		return false
	}
	s.last[key] = now
	return true
}
