// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// MaxBeat is the largest beat in bytes, its line feed included.
const MaxBeat = 1 << 10

// maxWord bounds each text in a beat, in bytes.
const maxWord = 128

// Beat is one heartbeat: a line of JSON. Fields that we do not know are of a newer
// relay and are ignored.
type Beat struct {
	// Seq counts the sender's beats on this path from 1, over all its connections.
	Seq uint64 `json:"seq"`
	// SentAt is the sender's clock. It serves to compare clocks, for nothing else.
	SentAt time.Time `json:"sentAt"`
	// Instance is another one after each start of the sender's process, and when it
	// begins to count anew on this path.
	Instance string `json:"instance"`
	// After is the largest Seq before this one that went to the process at the other end of this connection, or
	// may have: an address may lead to several replicas, and those between went to others. 0 while the
	// sender does not know whom it leads to.
	After uint64 `json:"after,omitempty"`
	// Seen is the largest Seq of the other side that has arrived on this path, 0
	// before the first, and HeldMicroseconds the time since then.
	Seen             uint64 `json:"seen"`
	HeldMicroseconds int64  `json:"heldMicroseconds"`
	// SilentMicroseconds is the time since any byte of the other side arrived on
	// any connection of the path; while bytes are held up for a loss to be repaired
	// it may go half as fast.
	SilentMicroseconds int64 `json:"silentMicroseconds"`
	// IntervalMilliseconds and Misses are the budget that the sender declares. Both
	// sides beat as often as the smaller interval says.
	IntervalMilliseconds int32 `json:"intervalMilliseconds"`
	Misses               int32 `json:"misses"`
	// View is how the sender sees the link.
	View View `json:"view"`
	// Offer is the revision of the sender's offer to the receiver. At most 128 bytes.
	Offer string `json:"offer,omitempty"`
	// End says that the sender sends no more on this path: EndStopping or EndRemoved.
	End string `json:"end,omitempty"`
}

// Words of Beat.End.
const (
	// EndStopping: the relay stops, and is expected back.
	EndStopping = "Stopping"
	// EndRemoved: the path is not in the sender's configuration any more.
	EndRemoved = "Removed"
)

// View is one side's own view of a link.
type View struct {
	// Outbound: it is heard by the other side. Inbound: it hears the other side.
	Outbound report.State `json:"outbound"`
	Inbound  report.State `json:"inbound"`
	// Cause of Down, outbound.
	Cause report.Cause `json:"cause,omitempty"`
}

// errBeat: a line that is no beat.
var errBeat = errors.New("not a heartbeat of this protocol")

// append writes the beat as one line, without more memory than the buffer has.
func (b *Beat) append(to []byte) []byte {
	number := func(name string, n int64) {
		to = append(to, name...)
		to = strconv.AppendInt(to, n, 10)
	}
	word := func(name, text string) {
		to = append(to, name...)
		to = append(to, '"')
		to = append(to, plain(text)...)
		to = append(to, '"')
	}
	to = append(to, `{"seq":`...)
	to = strconv.AppendUint(to, b.Seq, 10)
	to = append(to, `,"sentAt":"`...)
	to = b.SentAt.UTC().AppendFormat(to, time.RFC3339Nano)
	word(`","instance":`, b.Instance)
	if b.After > 0 {
		to = append(to, `,"after":`...)
		to = strconv.AppendUint(to, b.After, 10)
	}
	to = append(to, `,"seen":`...)
	to = strconv.AppendUint(to, b.Seen, 10)
	number(`,"heldMicroseconds":`, b.HeldMicroseconds)
	number(`,"silentMicroseconds":`, b.SilentMicroseconds)
	number(`,"intervalMilliseconds":`, int64(b.IntervalMilliseconds))
	number(`,"misses":`, int64(b.Misses))
	word(`,"view":{"outbound":`, string(b.View.Outbound))
	word(`,"inbound":`, string(b.View.Inbound))
	if b.View.Cause != report.CauseNone {
		word(`,"cause":`, string(b.View.Cause))
	}
	to = append(to, '}')
	if b.Offer != "" {
		word(`,"offer":`, b.Offer)
	}
	if b.End != "" {
		word(`,"end":`, b.End)
	}
	return append(to, "}\n"...)
}

// plain returns a word that needs no escaping, or nothing: all of ours are so.
func plain(word string) string {
	for i := range len(word) {
		if c := word[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return ""
		}
	}
	return word[:min(len(word), maxWord)]
}

// parse reads a line. Numbers that make no sense are no beat; a budget is brought
// into the bounds of our own.
func parse(line []byte) (Beat, error) {
	var b Beat
	if len(line) > MaxBeat {
		return b, fmt.Errorf("%w: more than %d bytes", errBeat, MaxBeat)
	}
	if err := json.Unmarshal(line, &b); err != nil {
		return Beat{}, fmt.Errorf("%w: %v", errBeat, err) //nolint:errorlint // its kind is of no use to anybody
	}
	switch {
	case b.Seq == 0:
		return Beat{}, fmt.Errorf("%w: without a sequence number", errBeat)
	case b.HeldMicroseconds < 0 || b.SilentMicroseconds < 0:
		return Beat{}, fmt.Errorf("%w: a time before its beginning", errBeat)
	case max(len(b.Instance), len(b.View.Outbound), len(b.View.Inbound), len(b.View.Cause), len(b.Offer), len(b.End)) > maxWord:
		return Beat{}, fmt.Errorf("%w: a word of more than %d bytes", errBeat, maxWord)
	}
	budget := clamp(config.Detection{IntervalMilliseconds: b.IntervalMilliseconds, Misses: b.Misses})
	b.IntervalMilliseconds, b.Misses = budget.IntervalMilliseconds, budget.Misses
	return b, nil
}

// longest is more than any path is silent; it keeps sums of times within their type.
const longest = 24 * time.Hour

// microseconds reads a time of a peer.
func microseconds(n int64) time.Duration {
	return time.Duration(min(n, longest.Microseconds())) * time.Microsecond
}
