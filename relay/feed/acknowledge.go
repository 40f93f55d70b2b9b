// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

// receiptType is the kind of statement (package receipt) that acknowledges a feed.
const receiptType = "certlink-feed-receipt"

// Bounds of a receipt.
const (
	maxRefused      = 100
	maxRefusedWord  = 64
	maxReceiptAhead = 5 * time.Minute
)

// acknowledgement is what a receipt says: the importing relay has stored, fsynced, what
// it read of a collection up to a position, but for what it has refused.
type acknowledgement struct {
	// Collection is its id.
	Collection string `json:"collection"`
	// Position is the date added of the last record read, as the server gave it.
	Position string `json:"position"`
	// Received is the number of objects of the pull, refused ones too.
	Received int64 `json:"received"`
	// Refused are those that were not kept, the first hundred; MoreRefused counts the rest.
	Refused     []refusedObject `json:"refused,omitempty"`
	MoreRefused int64           `json:"moreRefused,omitempty"`
	// At is the time of the receipt.
	At time.Time `json:"at"`
}

// refusedObject is an object that was not kept. Version is empty for one without.
type refusedObject struct {
	ID      string `json:"id"`
	Version string `json:"version,omitempty"`
	Reason  string `json:"reason"`
}

// receiptPath is the path, below a collection, to which receipts are posted: an
// extension of ours. A server that does not know it answers 404.
const receiptPath = "receipts/"

// takeReceipts answers POST COLLECTION/receipts/, and leaves the rest to TAXII.
func (e *Engine) takeReceipts(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /taxii2/"+LinkRoot+"/collections/{id}/"+receiptPath+"{$}", func(w http.ResponseWriter, r *http.Request) {
		err := e.takeReceipt(w, r)
		var told *taxii.ProtocolError
		switch {
		case err == nil:
			w.WriteHeader(http.StatusNoContent)
		case errors.As(err, &told):
			problem.Write(w, told.Status, told.Title)
		default:
			e.cfg.Log.WarnContext(r.Context(), "a receipt could not be stored", "error", err)
			problem.Write(w, http.StatusInternalServerError, "the receipt could not be stored; send it again")
		}
	})
	mux.Handle("/", next)
	return mux
}

func (e *Engine) takeReceipt(w http.ResponseWriter, r *http.Request) error {
	if e.cfg.Identity == nil {
		return taxii.NotFound()
	}
	x, caller, err := linkBackend{e}.visible(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, receipt.MaxBytes))
	if err != nil {
		return badReceipt("it is longer than %d bytes, or was cut", receipt.MaxBytes)
	}
	opened, err := receipt.Open(e.cfg.Identity(), receiptType, body, e.cfg.Now())
	if err != nil {
		return badReceipt("%v", err)
	}
	if opened.TrustDomain != caller {
		return badReceipt("it is signed by %s", opened.TrustDomain)
	}
	p, refused, err := readAcknowledgement(opened.Payload, x.collection.ID, e.cfg.Now())
	if err != nil {
		return badReceipt("%v", err)
	}
	p.Receipt = body
	return e.keepReceipt(r.Context(), x, caller, p, refused)
}

func badReceipt(format string, args ...any) error {
	return &taxii.ProtocolError{Status: http.StatusUnprocessableEntity, Title: "the receipt is not accepted: " + fmt.Sprintf(format, args...)}
}

// keepReceipt stores a receipt for what was handed out, not for more. One that comes again
// says nothing new, as does one that is older than the last: its refusals may be long over.
func (e *Engine) keepReceipt(ctx context.Context, x *export, peer string, p store.Progress, refused []store.Refusal) error {
	now, err := e.advance.current(ctx, x.Name, peer)
	if err != nil || bytes.Equal(now.Receipt, p.Receipt) || p.ReceiptAt.Before(now.ReceiptAt) {
		return err
	}
	p.ReceivedTo, p.ReceivedAt = min(p.ReceivedTo, now.HandedTo), e.cfg.Now().UTC()
	if err := e.cfg.Store.SetProgress(ctx, x.Name, peer, p, refused); err != nil {
		return err
	}
	if len(refused) > 0 {
		e.metrics.refused.WithLabelValues(x.Name).Add(float64(len(refused)))
		e.exporter.wake() // counts them
	}
	return nil
}

// readAcknowledgement reads a receipt for a collection: the position, when it was signed, and
// what was refused.
func readAcknowledgement(payload []byte, collection string, now time.Time) (p store.Progress, refused []store.Refusal, err error) {
	var a acknowledgement
	if err := json.Unmarshal(payload, &a); err != nil {
		return store.Progress{}, nil, fmt.Errorf("reading it: %w", err)
	}
	at, err := stix.ParseTime(a.Position)
	switch {
	case err != nil:
		return store.Progress{}, nil, fmt.Errorf("reading its position: %w", err)
	case a.Collection != collection:
		return store.Progress{}, nil, errors.New("it is about another collection")
	case len(a.Refused) > maxRefused:
		return store.Progress{}, nil, fmt.Errorf("it refuses %d objects, more than %d at once", len(a.Refused), maxRefused)
	case a.At.After(now.Add(maxReceiptAhead)):
		return store.Progress{}, nil, errors.New("it is from the future")
	}
	for _, r := range a.Refused {
		one := store.Refusal{ID: r.ID, Reason: r.Reason, At: now.UTC()}
		if _, ok := stix.SplitID(r.ID); !ok || !isWord(r.Reason) {
			return store.Progress{}, nil, errors.New("it refuses what is no object")
		}
		if r.Version != "" {
			if one.Version, err = stix.ParseTime(r.Version); err != nil {
				return store.Progress{}, nil, fmt.Errorf("reading a refused version: %w", err)
			}
		}
		refused = append(refused, one)
	}
	return store.Progress{ReceivedTo: at.UnixMicro(), ReceiptAt: a.At.UTC()}, refused, nil
}

// isWord tells whether a text can be a reason: letters, bounded.
func isWord(text string) bool {
	return text != "" && len(text) <= maxRefusedWord &&
		strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}
