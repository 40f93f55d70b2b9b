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
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/remote"
)

const (
	maxKeyBytes    = 64 << 10
	maxAnswerBytes = 64 << 10
	// webhookStall is how long a receiver may take to answer.
	webhookStall = 30 * time.Second
	// keyName is the key of the signature among the files of Remote.Directory.
	keyName = "hmac"
)

// Sign is the value of HeaderSignature: "sha256=" and the hexadecimal HMAC-SHA256 (RFC
// 2104) under key over the value of HeaderTimestamp, a full stop and the body.
func Sign(key []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// Hook posts signed requests to one URL.
type Hook struct {
	client *remote.Client
	// bare has no credentials, for a directory that holds but the key of the signature.
	bare       *remote.Client
	remote     config.Remote
	secretFile string
}

// NewHook checks the URL. The key of the signature is in secretFile, or in the file hmac
// of the receiver's directory, if that has one. Log may be nil.
func NewHook(to config.Remote, secretFile string, log *slog.Logger) (*Hook, error) {
	opts := remote.Options{Stall: webhookStall, Log: log}
	client, err := remote.New(to, opts)
	if err != nil {
		return nil, err
	}
	h := &Hook{client: client, bare: client, remote: to, secretFile: secretFile}
	if to.Directory != "" {
		plain := to
		plain.Directory = ""
		if h.bare, err = remote.New(plain, opts); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Close closes idle connections.
func (h *Hook) Close() {
	h.client.Close()
	h.bare.Close()
}

// Post posts a body. It sets HeaderTimestamp, and HeaderSignature if there is a key. The
// request may be repeated in moments, so header must hold HeaderID. 2xx is success.
func (h *Hook) Post(ctx context.Context, header http.Header, body []byte, now time.Time) error {
	key, err := h.key()
	if err != nil {
		return err
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	header.Set(HeaderTimestamp, timestamp)
	if key != nil {
		header.Set(HeaderSignature, Sign(key, timestamp, body))
	}
	resp, err := h.caller(key != nil).Do(ctx, remote.Request{Method: http.MethodPost, Header: header, Body: body, Idempotent: true, MaxBytes: maxAnswerBytes})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// key is the key of the signature; nil for none. In a directory it may be missing, as
// any other file there; a file of its own may not.
func (h *Hook) key() ([]byte, error) {
	if h.secretFile != "" {
		return readKey(h.secretFile)
	}
	if h.remote.Directory == "" {
		return nil, nil
	}
	file := filepath.Join(h.remote.Directory, keyName)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return readKey(file)
}

// caller is the client for what the directory holds now.
func (h *Hook) caller(signed bool) *remote.Client {
	dir := h.remote.Directory
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
