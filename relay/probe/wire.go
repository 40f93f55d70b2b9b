// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"time"

	"github.com/certlink/certlink/relay/report"
)

// maxBody is the largest probe and the largest answer in bytes.
const maxBody = 4 << 10

// Request is a probe: the body of POST /certlink/v1/probe.
type Request struct {
	// Seq counts the sender's probes to this peer from 1, over all paths.
	Seq uint64 `json:"seq"`
	// SentAt is the sender's time.
	SentAt time.Time `json:"sentAt"`
	// IntervalMilliseconds and Misses are the sender's budget: the receiver may
	// call the direction Down when that many intervals bring no probe.
	IntervalMilliseconds int32 `json:"intervalMilliseconds"`
	Misses               int32 `json:"misses"`
	// View is how the sender sees the link.
	View View `json:"view"`
}

// Answer is the body of the response.
type Answer struct {
	// Seq is that of the probe.
	Seq uint64 `json:"seq"`
	// ReceivedAt is the receiver's time.
	ReceivedAt time.Time `json:"receivedAt"`
	// View is how the receiver sees the link.
	View View `json:"view"`
}

// View is one side's own view of a link.
type View struct {
	// Outbound: its probes come back from us.
	Outbound report.State `json:"outbound"`
	// Cause of Down.
	Cause report.Cause `json:"cause,omitempty"`
	// Seen is the largest Seq of the other side's probes that arrived.
	Seen uint64 `json:"seen"`
}
