// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/report"
)

const (
	// Path of the exchange on the link port, in the probe class.
	Path = "/certlink/v1/offer"
	// Type is the kind of statement (typ) of an offer.
	Type = "certlink-offer+jws"
	// ContentType of request and answer: a compact JWS (RFC 7515).
	ContentType = "application/jose"
	// MaxBytes is the longest offer.
	MaxBytes = 96 << 10
)

// Bounds of what is in an offer.
const (
	maxPayload  = (MaxBytes - receipt.MaxHeaderBytes - 128) / 4 * 3
	maxVersions = 32
	maxVersion  = 1 << 20
	maxNames    = 1024
	maxName     = 253 // characters
	maxRoots    = 2 * cabundle.MaxCertificates
	maxHash     = 64
	maxWord     = 32
	maxRelease  = 64
	maxPaths    = 1024
	maxUnknown  = 32
	maxField    = 64
	// maxSerial is what any JSON number holds exactly, and enough until the year 2255.
	maxSerial = 1<<53 - 1
)

// Document is what is signed, as JSON. Fields that a release does not know are
// passed over.
type Document struct {
	// From and To are the trust domains of sender and receiver.
	From string `json:"from"`
	To   string `json:"to"`
	// Serial grows with each offer of the sender to this receiver: microseconds since
	// 1970 by the sender's clock, or more. SeenSerial is the largest that the sender
	// has seen of the receiver; one who is behind it goes on above it.
	Serial     int64 `json:"serial"`
	SeenSerial int64 `json:"seenSerial,omitempty"`
	// IssuedAt is by the sender's clock, for people.
	IssuedAt time.Time `json:"issuedAt"`
	// Revision names everything below: at most 64 characters, another one after each
	// change. Heartbeats repeat it.
	Revision string `json:"revision"`
	// Versions of the link protocol that the sender speaks: 1 to 32.
	Versions []int32 `json:"versions"`
	// Release of the sender's relay, at most 64 characters.
	Release string `json:"release,omitempty"`
	// State is what the sender allows the receiver: Active, Suspended or Drained.
	State string `json:"state"`
	// Card is the fingerprint of the receiver's card as the sender holds it, and
	// AcceptedRoots the hashes of the CA certificates in it.
	Card          string   `json:"card,omitempty"`
	AcceptedRoots []string `json:"acceptedRoots,omitempty"`
	// SeenRoot is the hash of the CA certificate to which the receiver's link
	// certificate led in the last handshake; empty when there was none.
	SeenRoot string `json:"seenRoot,omitempty"`
	// Leaf is the hash of the link certificate that the sender shows now.
	Leaf string `json:"leaf,omitempty"`
	// Bundle holds the sender's own CA certificates in PEM, BundleHash names their set
	// (SHA-256 over the DER encodings, sorted bytewise, each once, hexadecimal).
	Bundle     string `json:"bundle,omitempty"`
	BundleHash string `json:"bundleHash,omitempty"`
	// Exports and ServiceExports are the names of what the sender lets the receiver
	// use; Imports and ServiceImports of what it takes from the receiver, by the
	// receiver's names. Hotline tells whether it has one to the receiver. More: the
	// lists had to be cut.
	Exports        []string `json:"exports,omitempty"`
	Imports        []string `json:"imports,omitempty"`
	ServiceExports []string `json:"serviceExports,omitempty"`
	ServiceImports []string `json:"serviceImports,omitempty"`
	Hotline        bool     `json:"hotline,omitempty"`
	More           bool     `json:"more,omitempty"`
	// SealKey is the key to which the receiver seals what travels to the sender through
	// others' hands (package seal).
	SealKey []byte `json:"sealKey,omitempty"`
	// Carries: the sender carries sealed messages between the receiver and others.
	// Transit are the trust domains through which the sender takes the receiver's.
	Carries bool     `json:"carries,omitempty"`
	Transit []string `json:"transit,omitempty"`
	// Outbound, Inbound and PathsUp are the sender's view of the link.
	Outbound report.State `json:"outbound,omitempty"`
	Inbound  report.State `json:"inbound,omitempty"`
	PathsUp  int32        `json:"pathsUp,omitempty"`
}

// knownFields are the names of the fields of a Document.
var knownFields = func() map[string]bool {
	known := map[string]bool{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Document]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known[name] = true
	}
	return known
}()

// parse reads and bounds a payload. Unknown holds the names of fields that this
// release does not know, sorted, at most 32.
func parse(payload []byte) (d Document, unknown []string, err error) {
	if len(payload) > maxPayload {
		return Document{}, nil, fmt.Errorf("its content has %d bytes, more than %d", len(payload), maxPayload)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(payload, &fields); err != nil {
		return Document{}, nil, fmt.Errorf("its content is no JSON object: %w", err)
	}
	if err := json.Unmarshal(payload, &d); err != nil {
		return Document{}, nil, fmt.Errorf("reading its fields: %w", err)
	}
	if err := d.check(); err != nil {
		return Document{}, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !knownFields[name] && len(unknown) < maxUnknown {
			unknown = append(unknown, printable(name, maxField))
		}
	}
	return d, unknown, nil
}

// check bounds the fields, and makes safe for a report what is only for people.
func (d *Document) check() error {
	if d.Serial < 1 || d.Serial > maxSerial || d.SeenSerial < 0 || d.SeenSerial > maxSerial {
		return fmt.Errorf("serial: %d, or the seen one, is not within 1 to %d", d.Serial, int64(maxSerial))
	}
	if n := len(d.Versions); n == 0 || n > maxVersions {
		return fmt.Errorf("versions: %d of them are not within 1 to %d", n, maxVersions)
	}
	for _, v := range d.Versions {
		if v < 1 || v > maxVersion {
			return fmt.Errorf("versions: %d is not within 1 to %d", v, maxVersion)
		}
	}
	if len(d.Bundle) > cabundle.MaxBytes {
		return fmt.Errorf("bundle: %d bytes are more than %d", len(d.Bundle), cabundle.MaxBytes)
	}
	if len(d.SealKey) > maxSealKey {
		return fmt.Errorf("sealKey: %d bytes are more than %d", len(d.SealKey), maxSealKey)
	}
	if err := d.checkTexts(); err != nil {
		return err
	}
	d.Outbound, d.Inbound = known(d.Outbound), known(d.Inbound)
	d.Release, d.PathsUp = printable(d.Release, maxRelease), min(max(d.PathsUp, 0), maxPaths)
	return nil
}

// checkTexts bounds each text and each list.
func (d *Document) checkTexts() error {
	for _, w := range []struct {
		field, text string
		most        int
	}{
		{"revision", d.Revision, maxHash}, {"state", d.State, maxWord}, {"card", d.Card, maxHash}, {"seenRoot", d.SeenRoot, maxHash}, {"leaf", d.Leaf, maxHash},
		{"bundleHash", d.BundleHash, maxHash}, {"outbound", string(d.Outbound), maxWord}, {"inbound", string(d.Inbound), maxWord},
	} {
		if err := checkText(w.field, w.text, w.most); err != nil {
			return err
		}
	}
	for _, l := range []struct {
		field       string
		list        []string
		most, width int
	}{
		{"acceptedRoots", d.AcceptedRoots, maxRoots, maxHash}, {"exports", d.Exports, maxNames, maxName}, {"imports", d.Imports, maxNames, maxName},
		{"serviceExports", d.ServiceExports, maxNames, maxName}, {"serviceImports", d.ServiceImports, maxNames, maxName},
		{"transit", d.Transit, maxTransit, maxName},
	} {
		if len(l.list) > l.most {
			return fmt.Errorf("%s: %d entries are more than %d", l.field, len(l.list), l.most)
		}
		for _, text := range l.list {
			if err := checkText(l.field, text, l.width); err != nil {
				return err
			}
		}
	}
	return nil
}

// known is a state of the link in our words; one of a newer release is Unknown.
func known(s report.State) report.State {
	switch s {
	case "", report.Up, report.Suspect, report.Recovering, report.Down:
		return s
	default:
		return report.Unknown
	}
}

// checkText wants text of at most so many characters, without control characters.
func checkText(field, text string, most int) error {
	if utf8.RuneCountInString(text) > most {
		return fmt.Errorf("%s: a text is longer than %d characters", field, most)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%s: a text holds characters that cannot be printed", field)
	}
	return nil
}

// printable cuts what a peer wrote for people down to something fit for a report.
func printable(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most-1]) + "…"
	}
	return text
}

// encode writes a document. Lists that make it too long are cut.
func encode(d Document) ([]byte, error) {
	for {
		payload, err := json.Marshal(d)
		if err != nil {
			return nil, fmt.Errorf("writing an offer: %w", err)
		}
		if len(payload) <= maxPayload {
			return payload, nil
		}
		d.More = true
		for _, list := range []*[]string{&d.Exports, &d.Imports, &d.ServiceExports, &d.ServiceImports} {
			*list = (*list)[:len(*list)*3/4]
		}
		if len(d.Exports)+len(d.Imports)+len(d.ServiceExports)+len(d.ServiceImports) == 0 {
			return nil, fmt.Errorf("writing an offer: its content has %d bytes, more than %d", len(payload), maxPayload)
		}
	}
}
