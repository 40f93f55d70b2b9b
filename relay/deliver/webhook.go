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
	"io/fs"
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
	client *remote.Client
	// bare has no credentials, for a directory that holds but the key of the signature.
	bare        *remote.Client
	conf        config.Webhook
	maxAttempts int
	feed, name  string
}

// keyName is the key of the signature among the files of Remote.Directory.
const keyName = "hmac"

func (w *worker) newTarget() (target, error) {
	if w.conf.TAXII != nil {
		return newCollection(w)
	}
	hook := w.conf.Webhook
	client, err := remote.New(hook.Remote, remote.Options{Stall: webhookStall, Log: w.cfg.Log})
	if err != nil {
		return nil, err
	}
	h := &webhook{client: client, bare: client, conf: *hook, maxAttempts: int(hook.MaxAttempts), feed: w.feed, name: w.conf.Name}
	if h.maxAttempts <= 0 {
		h.maxAttempts = config.DefaultMaxAttempts
	}
	if hook.Remote.Directory != "" {
		plain := hook.Remote
		plain.Directory = ""
		if h.bare, err = remote.New(plain, remote.Options{Stall: webhookStall, Log: w.cfg.Log}); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *webhook) close() {
	h.client.Close()
	h.bare.Close()
}

// key is the key of the signature; nil for none. In a directory it may be missing, as
// any other file there; a file of its own may not.
func (h *webhook) key() ([]byte, error) {
	if h.conf.SecretFile != "" {
		return readKey(h.conf.SecretFile)
	}
	if h.conf.Remote.Directory == "" {
		return nil, nil
	}
	file := filepath.Join(h.conf.Remote.Directory, keyName)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return readKey(file)
}

// caller is the client for what the directory holds now.
func (h *webhook) caller(signed bool) *remote.Client {
	dir := h.conf.Remote.Directory
	if dir == "" || !signed {
		return h.client
	}
	for _, name := range config.RemoteKeys() {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return h.client
		}
	}
	return h.bare
}

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
	key, err := h.key()
	if err != nil {
		return nil, err
	}
	if key != nil {
		header.Set(HeaderSignature, Sign(key, timestamp, body))
	}
	resp, err := h.caller(key != nil).Do(ctx, remote.Request{Method: http.MethodPost, Header: header, Body: body, Idempotent: true, MaxBytes: maxAnswerBytes})
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
	// Without our own key or credentials nothing was sent: that is no fault of the objects.
	if failures >= h.maxAttempts && !errors.Is(err, remote.ErrCredentials) {
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
