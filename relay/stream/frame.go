// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"fmt"
)

// kind of a frame.
type kind byte

const (
	kindHello kind = iota + 1
	kindOpen
	kindAccept
	kindData
	kindEnd
	kindAbort
	kindRenew
)

// headerSize is the size of a frame's header, maxFrame that of a whole frame:
// four full TLS records. MaxData is the largest payload of one DATA frame.
const (
	headerSize = 4
	maxFrame   = 64 << 10
	MaxData    = maxFrame - headerSize
	maxHello   = 1 << 10
)

// Errors of streams and connections; test with errors.Is.
var (
	// ErrBusy: the connection carries another stream.
	ErrBusy = errors.New("the connection carries another stream")
	// ErrClosed: the connection has ended.
	ErrClosed = errors.New("the connection has ended")
	// ErrGlare: both sides opened a stream at once and the other side's won.
	// Nothing was delivered; try another connection.
	ErrGlare = errors.New("the other side opened a stream at the same moment")
	// ErrRefused: the other side took no stream on this connection. Nothing was
	// delivered; try another connection.
	ErrRefused = errors.New("the other side takes no more streams on this connection")
	// ErrAborted: the other side ended the stream before its end.
	ErrAborted = errors.New("the other side aborted the stream")
	// ErrProtocol: the other side violated the protocol.
	ErrProtocol = errors.New("protocol violation")
)

func violation(format string, args ...any) error {
	return fmt.Errorf("%w by the other side: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

func (k kind) String() string {
	names := [...]string{"", "HELLO", "OPEN", "ACCEPT", "DATA", "END", "ABORT", "RENEW"}
	if k == 0 || int(k) >= len(names) {
		return fmt.Sprintf("frame kind %d", byte(k))
	}
	return names[k]
}

// putHeader writes a header into the first four bytes.
func putHeader(b []byte, k kind, n int) {
	_ = b[3]
	b[0], b[1], b[2], b[3] = byte(k), byte(n>>16), byte(n>>8), byte(n) //nolint:gosec // n is at most 64 KiB
}

// parseHeader reads a header and checks what holds in every state.
func parseHeader(b [headerSize]byte) (kind, int, error) {
	k, n := kind(b[0]), int(b[1])<<16|int(b[2])<<8|int(b[3])
	switch {
	case k == 0 || k > kindRenew:
		return 0, 0, violation("unknown %v", k)
	case k == kindData && (n == 0 || n > MaxData), k == kindHello && (n == 0 || n > maxHello):
		return 0, 0, violation("%v of %d bytes", k, n)
	case k != kindData && k != kindHello && n != 0:
		return 0, 0, violation("%v with a payload of %d bytes", k, n)
	}
	return k, n, nil
}

// state of a connection, as far as frames from the other side are concerned.
type state int

const (
	parked   state = iota // no stream
	unsent                // our stream, its OPEN has not left
	opened                // our OPEN has left, no ACCEPT yet
	ignoring              // opened, and theirs is being ignored
	taken                 // a stream that both sides know
	half                  // taken, and the other side sends no more
)

// action is what a frame means in a state.
type action int

const (
	actTheirs   action = iota + 1 // a stream of the other side begins
	actYield                      // ... and ours fails with ErrGlare
	actIgnore                     // the other side's OPEN lost
	actAccepted                   // our stream was taken
	actSkip                       // payload to be passed over
	actData                       // payload for the reader
	actEnd                        // the other side sends no more
	actRefused                    // our stream was not taken
	actAborted                    // the stream failed over there
	actEnded                      // a parked connection ends
	actRenew                      // another connection shall take the place of this one
)

// meaning is what each kind of frame means in each state; zero is a violation.
var meaning = [half + 1][kindRenew + 1]action{
	parked:   {kindOpen: actTheirs, kindAbort: actEnded},
	unsent:   {kindOpen: actYield, kindAbort: actRefused},
	opened:   {kindOpen: actYield, kindAccept: actAccepted, kindAbort: actRefused},
	ignoring: {kindAccept: actAccepted, kindData: actSkip, kindEnd: actSkip, kindAbort: actRefused},
	taken:    {kindData: actData, kindEnd: actEnd, kindAbort: actAborted},
	half:     {kindAbort: actAborted},
}

var stateNames = [half + 1]string{
	parked: "while no stream was open", unsent: "before our OPEN", opened: "before ACCEPT",
	ignoring: "after an OPEN that lost", taken: "inside a stream", half: "after END",
}

// decide says what a frame means. dialed is true on the side that dialled.
func decide(st state, dialed bool, k kind) (action, error) {
	if k == kindRenew && dialed {
		return actRenew, nil
	}
	act := meaning[st][k]
	switch {
	case act == 0:
		return 0, violation("%v %s", k, stateNames[st])
	case st == opened && k == kindOpen && dialed:
		return actIgnore, nil
	}
	return act, nil
}
