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

	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/stix"
)

// askAgainForReceipts is how long a server that takes no receipts is not sent any.
const askAgainForReceipts = time.Hour

// Invalid is the reason in a receipt of an object that could not be read.
const Invalid = "Invalid"

// debt is what the importer must still acknowledge. The goroutine of run alone uses it.
type debt struct {
	received int64
	refused  []refusedObject
	more     int64
	// unwanted: the server takes no receipts; not asked again before this time.
	unwanted time.Time
}

// refuse notes an object that was not kept. One without a readable id is counted only.
func (d *debt) refuse(id string, version time.Time, reason string) {
	if id == "" || len(d.refused) == maxRefused {
		d.more++
		return
	}
	d.refused = append(d.refused, refusedObject{ID: id, Version: stixTime(version), Reason: reason})
}

// owe notes objects that went into quarantine.
func (d *debt) owe(objects []stix.Object, reason string) {
	if d == nil {
		return
	}
	for _, o := range objects {
		d.refuse(o.ID, o.Version, reason)
	}
}

// oweInvalid notes an object that could not be read.
func (d *debt) oweInvalid(bad *stix.ObjectError) {
	if d != nil {
		d.refuse(bad.ID, time.Time{}, Invalid)
	}
}

// acknowledge sends the peer a signed receipt for what was stored since the last one.
// It comes after the cursor was stored, so that it is never for more than is durable.
// What cannot be sent is owed until the next pull; a crash forgets it, and the next
// receipt covers its position.
func (i *importer) acknowledge(ctx context.Context) {
	d := &i.debt
	now := i.cfg.Now()
	news := d.received > 0 || len(d.refused) > 0 || d.more > 0
	if !news || i.cfg.Identity == nil || i.walk.location == nil || i.walk.cursor.After == "" || now.Before(d.unwanted) {
		return
	}
	payload, err := json.Marshal(acknowledgement{
		Collection: i.walk.location.ID, Position: i.walk.cursor.After, Received: d.received, Refused: d.refused, MoreRefused: d.more,
		At: now.UTC().Truncate(time.Microsecond),
	})
	if err == nil {
		err = i.post(ctx, payload)
	}
	if errors.Is(err, errUnwanted) {
		d.unwanted = now.Add(askAgainForReceipts)
	}
	if err != nil {
		i.cfg.Log.DebugContext(ctx, "a receipt was not sent", "feed", i.name, "peer", i.peer.Name, "error", err)
		return
	}
	*d = debt{}
}

// errUnwanted: the server takes no receipts, or not this one.
var errUnwanted = errors.New("the server takes no receipts")

func (i *importer) post(ctx context.Context, payload []byte) error {
	signed, err := receipt.Sign(i.cfg.Identity(), receiptType, payload)
	if err != nil {
		return err
	}
	path := strings.TrimSuffix(i.walk.location.Objects, "objects/") + receiptPath
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+i.peer.TrustDomain+path, bytes.NewReader(signed))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/jose")
	answer, err := i.cfg.Client(i.peer.TrustDomain).Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 4096) // so that the connection can be used again
	switch {
	case answer.StatusCode < http.StatusMultipleChoices:
		return nil
	case answer.StatusCode < http.StatusInternalServerError && answer.StatusCode != http.StatusTooManyRequests:
		return fmt.Errorf("%w: %s", errUnwanted, answer.Status)
	}
	return fmt.Errorf("sending a receipt: %s", answer.Status)
}
