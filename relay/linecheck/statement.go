// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/message"
)

// Kinds of statement, the typ of their JWS.
const (
	TypeCheck   = "certlink-line-check"
	TypeReceipt = "certlink-line-check-receipt"
)

// Version of the statements that this release writes and reads.
const Version = 1

const (
	// maxPayload is the largest payload of a check or receipt.
	maxPayload = 16 << 10
	maxAddress = 280
	maxDials   = 16
	maxNumber  = 1 << 53
	maxTextID  = 64
)

// Way names a path for both sides: who dials which address. It is comparable.
type Way struct {
	// DialledBy is a trust domain.
	DialledBy string `json:"dialled_by"`
	// Address HOST:PORT as the dialling side has it.
	Address string `json:"address"`
}

// key is the path's name in the store.
func (w Way) key() string { return w.DialledBy + " " + w.Address }

func wayOf(key string) Way {
	by, address, _ := strings.Cut(key, " ")
	return Way{DialledBy: by, Address: address}
}

// Check is the signed content of a line check.
type Check struct {
	Version int    `json:"version"`
	From    string `json:"from"`
	To      string `json:"to"`
	// Path as the sender means it.
	Path Way `json:"path"`
	// Number counts the sender's checks of this path from 1, without gaps.
	Number int64 `json:"number"`
	// Slot is when the check was due, SentAt when it was made.
	Slot   time.Time `json:"slot"`
	SentAt time.Time `json:"sent_at"`
	// Skipped slots before this one in which the sender sent nothing over this path, because
	// it was down or did not have the path.
	Skipped int64 `json:"skipped,omitempty"`
	// OnDemand: a person asked for it; it belongs to no slot.
	OnDemand bool `json:"on_demand,omitempty"`
	// RSIT is "test:test".
	RSIT   string `json:"rsit"`
	TextID string `json:"text_id"`
	Text   string `json:"text"`
	// IntervalSeconds is how often the sender checks.
	IntervalSeconds int32 `json:"interval_seconds"`
	// Dials are the addresses that the sender dials: those paths are to be heard from.
	Dials []string `json:"dials,omitempty"`
}

// Verdict is what a received check is.
type Verdict string

// The verdicts.
const (
	// Received: it is new. Again: it is stored with the same content.
	Received Verdict = "Received"
	Again    Verdict = "Again"
	// Conflict: its number was used with other content. Old: its number is below the last
	// one, and it was not received before: a replay, or the sender's database was set back.
	Conflict Verdict = "Conflict"
	Old      Verdict = "Old"
)

// Receipt is the signed answer to a check.
type Receipt struct {
	Version int    `json:"version"`
	From    string `json:"from"`
	To      string `json:"to"`
	// CheckSHA256 is the hexadecimal digest of the check's payload, Path and Number are its.
	CheckSHA256 string `json:"check_sha256"`
	Path        Way    `json:"path"`
	Number      int64  `json:"number"`
	// ReceivedOver is the path over which the receiver got it; empty where it cannot tell.
	ReceivedOver Way `json:"received_over,omitzero"`
	// ReceivedAt is the time of the receiver, UTC; of a repeated one, that of the first.
	ReceivedAt time.Time `json:"received_at"`
	Verdict    Verdict   `json:"verdict"`
	// LastNumber is the largest number that the receiver holds of this path.
	LastNumber int64 `json:"last_number"`
	// RSIT is "test:test".
	RSIT string `json:"rsit"`
}

func encode(v any) ([]byte, error) {
	raw, err := json.Marshal(v, json.Deterministic(true))
	if err == nil && len(raw) > maxPayload {
		err = fmt.Errorf("it has %d bytes, more than %d", len(raw), maxPayload)
	}
	return raw, err
}

// decodeCheck reads and bounds what a peer signed. Members that it does not know are
// passed over: a later version of the sender may add some.
func decodeCheck(raw []byte) (Check, error) {
	var c Check
	if len(raw) > maxPayload {
		return Check{}, fmt.Errorf("a line check has at most %d bytes", maxPayload)
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return Check{}, fmt.Errorf("reading a line check: %w", err)
	}
	c.Slot, c.SentAt = c.Slot.UTC(), c.SentAt.UTC()
	return c, c.check()
}

// check holds for every check, sent or received.
func (c *Check) check() error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(c.Version == Version, "version: must be %d", Version)
	require(c.RSIT == message.TestCode, "rsit: must be %s", message.TestCode)
	require(c.Path.DialledBy == c.From || c.Path.DialledBy == c.To, "path: must be dialled by one of the two sides")
	require(isAddress(c.Path.Address), "path: the address must be HOST:PORT in one word")
	require(c.Number >= 1 && c.Number <= maxNumber, "number: must be within 1 and 2^53")
	require(isTime(c.Slot), "slot: must be a time")
	require(isTime(c.SentAt), "sent_at: must be a time")
	require(c.Skipped >= 0 && c.Skipped <= maxSkipped, "skipped: must be within 0 and %d", maxSkipped)
	require(isLine(c.TextID, maxTextID), "text_id: must be one line of at most %d characters", maxTextID)
	require(c.Text != "" && isLine(c.Text, config.MaxLineCheckText), "text: must be one line of at most %d characters", config.MaxLineCheckText)
	require(c.IntervalSeconds >= 1 && c.IntervalSeconds <= 86_400, "interval_seconds: must be within 1 and 86400")
	require(len(c.Dials) <= maxDials, "dials: must have at most %d entries", maxDials)
	for _, a := range c.Dials {
		require(isAddress(a), "dials: must be HOST:PORT in one word")
	}
	return errors.Join(errs...)
}

func isAddress(s string) bool {
	// It stands in conditions, logs and labels of metrics: nothing that is not seen.
	return s != "" && len(s) <= maxAddress && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func isTime(t time.Time) bool { return t.Year() >= 2000 && t.Year() <= 9999 }

func isLine(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, unicode.IsControl)
}

// decodeReceipt reads an answer and compares it with the check that we sent.
func decodeReceipt(raw []byte, sent *Check, digest string) (Receipt, error) {
	var r Receipt
	if err := json.Unmarshal(raw, &r); err != nil {
		return Receipt{}, fmt.Errorf("reading the receipt of a line check: %w", err)
	}
	r.ReceivedAt = r.ReceivedAt.UTC()
	switch {
	case r.Version != Version || r.RSIT != message.TestCode:
		return Receipt{}, errors.New("comparing the receipt of a line check: another version or code")
	case r.From != sent.To || r.To != sent.From || r.Path != sent.Path || r.Number != sent.Number || r.CheckSHA256 != digest:
		return Receipt{}, errors.New("comparing the receipt of a line check: it is for another check")
	case !isTime(r.ReceivedAt) || r.LastNumber < 0 || r.LastNumber > maxNumber:
		return Receipt{}, errors.New("comparing the receipt of a line check: its time or number is out of bounds")
	case r.Verdict != Received && r.Verdict != Again && r.Verdict != Conflict && r.Verdict != Old:
		return Receipt{}, errors.New("comparing the receipt of a line check: it says nothing that we know")
	}
	return r, nil
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
