// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package transit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/seal"
)

// Paths on the link port, below those of the hotline.
const (
	pathTransit = Path
	// Path is above all of them.
	Path = link.PathHotline + "transit/"
	// PathTo takes a sealed request for the trust domain that follows.
	PathTo = pathTransit + "to/"
	// PathFrom takes a sealed request of the trust domain that follows.
	PathFrom = pathTransit + "from/"
	// pathPing is answered by the receiver itself: the way is open in both directions.
	pathPing = pathTransit + "ping"
)

const (
	// ContentType of sealed requests and answers.
	ContentType = "application/vnd.certlink.sealed"
	// TypeRequest is the kind of statement (typ) inside a request.
	TypeRequest = "certlink-transit-request+jws"
	// TypeAnswer is that of an answer.
	TypeAnswer = "certlink-transit-answer+jws"

	// headerRefused is in an answer whose refusal is about the way, not the request.
	headerRefused = "Certlink-Transit-Refused"

	purposeRequest = "transit-request"
	purposeAnswer  = "transit-answer"

	// MaxBody is the largest body of a request or answer: sealed and padded it must fit
	// what the class of the hotline takes.
	MaxBody = 4<<20 + 128<<10
	// maxSealed is the largest sealed request or answer.
	maxSealed = 5 << 20
	// maxHeaders and maxHeaderBytes bound what goes along as header.
	maxHeaders     = 16
	maxHeaderBytes = 8 << 10
	maxPath        = 2 << 10
	// window is how far the time of a request may be from our clock.
	window = time.Hour
)

var errWire = errors.New("malformed")

// request is what the sender signs.
type request struct {
	// Version of this form: 1.
	Version int `json:"version"`
	// ID is random: 32 hexadecimal digits.
	ID string `json:"id"`
	// From, To and Via are trust domains: sender, receiver, and who carries it.
	From string `json:"from"`
	To   string `json:"to"`
	Via  string `json:"via"`
	// At is the sender's time.
	At time.Time `json:"at"`
	// Method, Path with its query, and Header of the HTTP request.
	Method string            `json:"method"`
	Path   string            `json:"path"`
	Header map[string]string `json:"header,omitempty"`
	// Body is the SHA-256 of the body, hexadecimal.
	Body string `json:"body"`
	// AnswerKey is the public key to which the answer is sealed; it is used once.
	AnswerKey []byte `json:"answerKey"`
}

// answer is what the receiver signs.
type answer struct {
	Version int `json:"version"`
	// ID of the request, and Request the SHA-256 of its statement, hexadecimal.
	ID      string `json:"id"`
	Request string `json:"request"`
	From    string `json:"from"`
	To      string `json:"to"`
	// Status, Header and the SHA-256 of the Body of the HTTP response.
	Status int               `json:"status"`
	Header map[string]string `json:"header,omitempty"`
	Body   string            `json:"body"`
}

// pack signs a statement and puts it before its body: the length of the statement in four
// bytes, the statement, the body.
func pack(s receipt.Signer, typ string, statement any, body []byte) (packed, jws []byte, err error) {
	payload, err := json.Marshal(statement)
	if err != nil {
		return nil, nil, fmt.Errorf("writing a statement: %w", err)
	}
	if jws, err = receipt.Sign(s, typ, payload); err != nil {
		return nil, nil, err
	}
	packed = make([]byte, 4, 4+len(jws)+len(body))
	binary.BigEndian.PutUint32(packed, uint32(len(jws))) //nolint:gosec // at most receipt.MaxBytes
	return append(append(packed, jws...), body...), jws, nil
}

// unpack takes it apart. Nothing is verified yet.
func unpack(packed []byte) (jws, body []byte, err error) {
	if len(packed) < 4 {
		return nil, nil, errWire
	}
	n := binary.BigEndian.Uint32(packed)
	rest := packed[4:]
	if n == 0 || n > receipt.MaxBytes || uint64(n) > uint64(len(rest)) || len(rest)-int(n) > MaxBody {
		return nil, nil, errWire
	}
	return rest[:n], rest[n:], nil
}

// openRequest verifies a request that was sealed to us: who signed it, for whom, when, and
// that the body is the one that was signed.
func openRequest(v receipt.Verifier, packed []byte, from, to, via string, now time.Time) (request, []byte, []byte, error) {
	jws, body, err := unpack(packed)
	if err != nil {
		return request{}, nil, nil, err
	}
	opened, err := receipt.Open(v, TypeRequest, jws, now)
	if err != nil {
		return request{}, nil, nil, err
	}
	var r request
	if err := json.Unmarshal(opened.Payload, &r); err != nil {
		return request{}, nil, nil, fmt.Errorf("%w: it is no JSON", errWire)
	}
	switch {
	case opened.TrustDomain != from:
		return r, nil, nil, fmt.Errorf("it is signed by %s, not by %s", opened.TrustDomain, from)
	case r.From != from || r.To != to || r.Via != via:
		return r, nil, nil, errors.New("it is for others, or was to come through others")
	case r.Version != 1 || !isID(r.ID) || r.Body != digest(body) || !fits(r.Method, r.Path, r.Header):
		return r, nil, nil, errWire
	}
	return r, body, jws, nil
}

// openAnswer verifies an answer: who signed it, and that it is to this very request.
func openAnswer(v receipt.Verifier, packed, requestJWS []byte, asked request, now time.Time) (answer, []byte, error) {
	jws, body, err := unpack(packed)
	if err != nil {
		return answer{}, nil, err
	}
	opened, err := receipt.Open(v, TypeAnswer, jws, now)
	if err != nil {
		return answer{}, nil, err
	}
	var a answer
	if err := json.Unmarshal(opened.Payload, &a); err != nil {
		return answer{}, nil, fmt.Errorf("%w: it is no JSON", errWire)
	}
	switch {
	case opened.TrustDomain != asked.To || a.From != asked.To || a.To != asked.From:
		return a, nil, fmt.Errorf("it is signed by %s, not by %s", opened.TrustDomain, asked.To)
	case a.ID != asked.ID || a.Request != digest(requestJWS):
		return a, nil, errors.New("it is the answer to another request")
	case a.Version != 1 || a.Status < 200 || a.Status > 599 || a.Body != digest(body) || !fits("", "", a.Header):
		return a, nil, errWire
	}
	return a, body, nil
}

func isID(id string) bool {
	raw, err := hex.DecodeString(id)
	return err == nil && len(raw) == 16 && strings.ToLower(id) == id
}

// fits bounds the head of a request or answer.
func fits(method, path string, header map[string]string) bool {
	size := 0
	for name, value := range header {
		size += len(name) + len(value)
	}
	return len(method) <= 16 && len(path) <= maxPath && len(header) <= maxHeaders && size <= maxHeaderBytes
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// hop headers are about one connection, or made anew at the other end (RFC 9110 section 7.6.1).
var hop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true,
	"Upgrade": true, "Host": true, "Content-Length": true, "Date": true, "Accept-Encoding": true, "User-Agent": true,
}

// headerOf is what goes along of a header: the first value of each field.
func headerOf(h http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range h {
		if name = http.CanonicalHeaderKey(name); len(values) > 0 && !hop[name] {
			out[name] = values[0]
		}
	}
	return out
}

func toHeader(m map[string]string) http.Header {
	h := http.Header{}
	for name, value := range m {
		if name = http.CanonicalHeaderKey(name); !hop[name] {
			h.Set(name, value)
		}
	}
	return h
}

func envelope(purpose, from, to string) seal.Envelope {
	return seal.Envelope{Purpose: purpose, From: from, To: to}
}
