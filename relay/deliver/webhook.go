// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/remote"
)

// The headers of a webhook's request. Authenticity is in HeaderSignature, as Sign
// makes it; the key for duplicates is in HeaderID.
const (
	HeaderID        = "Idempotency-Key"
	HeaderTimestamp = "Certlink-Timestamp"
	HeaderSignature = "Certlink-Signature"
	HeaderFeed      = "Certlink-Feed"
	HeaderDelivery  = "Certlink-Delivery"
)

// ContentType of a webhook's body: a STIX 2.1 bundle.
const ContentType = "application/stix+json;version=2.1"

const (
	maxKeyBytes    = 64 << 10
	maxAnswerBytes = 64 << 10
	// webhookStall is how long a receiver may take to answer.
	webhookStall = 30 * time.Second
)

// Sign is the value of HeaderSignature: "sha256=" and the hexadecimal HMAC-SHA256 (RFC
// 2104) under key over the value of HeaderTimestamp, a full stop and the body.
func Sign(key []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// webhook posts batches to a URL.
type webhook struct {
	client      *remote.Client
	secretFile  string
	maxAttempts int
	feed, name  string
}

func (w *worker) newTarget() (target, error) {
	if w.conf.TAXII != nil {
		return newCollection(w)
	}
	hook := w.conf.Webhook
	client, err := remote.New(hook.Remote, remote.Options{Stall: webhookStall, Log: w.cfg.Log})
	if err != nil {
		return nil, err
	}
	most := int(hook.MaxAttempts)
	if most <= 0 {
		most = config.DefaultMaxAttempts
	}
	return &webhook{client: client, secretFile: hook.SecretFile, maxAttempts: most, feed: w.feed, name: w.conf.Name}, nil
}

func (h *webhook) close() { h.client.Close() }

// send implements target: the receiver takes all of a batch or nothing.
func (h *webhook) send(ctx context.Context, b batch, now time.Time) (map[int]string, error) {
	id := b.id(h.feed + "/" + h.name)
	body := b.bundle(id)
	header := http.Header{}
	header.Set("Content-Type", ContentType)
	header.Set(HeaderID, `"`+id+`"`)
	header.Set(HeaderFeed, h.feed)
	header.Set(HeaderDelivery, h.name)
	timestamp := strconv.FormatInt(now.Unix(), 10)
	header.Set(HeaderTimestamp, timestamp)
	if h.secretFile != "" {
		key, err := readKey(h.secretFile)
		if err != nil {
			return nil, err
		}
		header.Set(HeaderSignature, Sign(key, timestamp, body))
	}
	resp, err := h.client.Do(ctx, remote.Request{Method: http.MethodPost, Header: header, Body: body, Idempotent: true, MaxBytes: maxAnswerBytes})
	if err != nil {
		return nil, err
	}
	// 2xx is the answer, whatever else it says.
	return nil, resp.Body.Close()
}

// verdict implements target.
func (h *webhook) verdict(err error, failures int) verdict {
	if told, ok := errors.AsType[*remote.StatusError](err); ok && told.Status == http.StatusRequestEntityTooLarge {
		return smaller
	}
	if failures >= h.maxAttempts {
		return hopeless
	}
	return again
}

// readKey reads the key of the signature; a line end behind it does not count.
func readKey(path string) ([]byte, error) {
	place := filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %s cannot be read", remote.ErrCredentials, place)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyBytes+1))
	if err != nil || len(text) > maxKeyBytes {
		return nil, fmt.Errorf("%w: %s cannot be read, or is too long", remote.ErrCredentials, place)
	}
	key := strings.TrimRight(string(text), "\r\n")
	if key == "" {
		return nil, fmt.Errorf("%w: %s is empty", remote.ErrCredentials, place)
	}
	return []byte(key), nil
}
