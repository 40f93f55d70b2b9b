// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
)

// What the doors answer to requests that ask for nothing: a hotline message
// without content, the discovery of TAXII.
const (
	hotlineOpen = http.StatusUnsupportedMediaType
	feedsOpen   = http.StatusOK
)

const (
	// maxSubject is the longest SPIFFE ID, in characters.
	maxSubject = 2048
	// maxName bounds the text of an issuer's name, in characters.
	maxName = 160
	// maxKeyID bounds that of an issuer's key ID, in bytes.
	maxKeyID = 32
	// maxAnswer bounds what is read of the answer to a request that asks for nothing.
	maxAnswer = 64 << 10
)

// look opens connections to one address and asks over them.
func (c *Checker) look(ctx context.Context, p known, authorities []*x509.Certificate, at link.Path) sight {
	saw, client, done := c.cfg.Inspect(ctx, at, link.Probe)
	defer done()
	s := sight{address: at.Address, accepted: at.Accepted, opened: saw}
	if saw.TLS != nil {
		s.read(saw.TLS.PeerCertificates, authorities)
	}
	if saw.Err != nil {
		return s
	}
	s.answer = c.ask(ctx, client, p.peer.TrustDomain)
	if s.answer.err != nil {
		return s
	}
	if p.hotline {
		s.hotline = c.knock(ctx, at, link.Hotline, http.MethodPost, link.PathHotline+"batches")
	}
	if p.peer.State != config.Suspended {
		s.feeds = c.knock(ctx, at, link.Feed, http.MethodGet, link.PathTAXII)
	}
	return s
}

// read notes what the chain says of itself.
func (s *sight) read(shown, authorities []*x509.Certificate) {
	if len(shown) == 0 {
		return
	}
	leaf := shown[0]
	s.subject = "no SPIFFE ID"
	if len(leaf.URIs) == 1 {
		s.subject = clip(leaf.URIs[0].String(), maxSubject)
	}
	s.notAfter = leaf.NotAfter
	for _, cert := range shown {
		if cert.NotAfter.Before(s.notAfter) {
			s.notAfter = cert.NotAfter
		}
	}
	s.issuer = issuer(shown, authorities)
	s.issuedBy = fmt.Sprintf("issued by %q", clip(leaf.Issuer.String(), maxName))
	if s.issuer != "" {
		s.issuedBy += ", SHA-256 " + s.issuer
	} else if id := leaf.AuthorityKeyId; len(id) > 0 {
		s.issuedBy += fmt.Sprintf(", key ID %x, which is neither shown nor in our bundle", id[:min(len(id), maxKeyID)])
	}
}

// clip shortens what the other end chose to at most n characters.
func clip(text string, n int) string {
	characters := []rune(text)
	return string(characters[:min(len(characters), n)])
}

// issuer finds the certificate that issued the leaf: the next that was shown, or
// one of our bundle.
func issuer(shown, authorities []*x509.Certificate) string {
	candidates := append(shown[1:len(shown):len(shown)], authorities...)
	for _, ca := range candidates {
		if bytes.Equal(shown[0].RawIssuer, ca.RawSubject) && shown[0].CheckSignatureFrom(ca) == nil {
			return fingerprint(ca)
		}
	}
	return ""
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// ask sends a probe and compares the clocks: the peer read its clock between our
// sending and the first byte of its answer.
func (c *Checker) ask(ctx context.Context, client *http.Client, trustDomain string) *answer {
	var sent, came atomic.Pointer[time.Time]
	note := func(at *atomic.Pointer[time.Time]) { now := c.cfg.Clock(); at.Store(&now) }
	got, err := c.cfg.Ask(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest:         func(httptrace.WroteRequestInfo) { note(&sent) },
		GotFirstResponseByte: func() { note(&came) },
	}), client, trustDomain)
	a := &answer{view: got.View, err: err}
	from, to := sent.Load(), came.Load()
	if err == nil && from != nil && to != nil {
		a.roundTrip = to.Sub(*from)
		a.offset = got.ReceivedAt.Sub(from.Add(a.roundTrip / 2))
	}
	return a
}

// knock asks whether a class of traffic is let in.
func (c *Checker) knock(ctx context.Context, at link.Path, class link.Class, method, path string) *door {
	saw, client, done := c.cfg.Inspect(ctx, at, class)
	defer done()
	if saw.Err != nil {
		return &door{err: saw.Err}
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://"+at.TrustDomain+path, http.NoBody)
	if err != nil {
		return &door{err: fmt.Errorf("building a request: %w", err)}
	}
	req.Header.Set("Accept", "application/taxii+json;version=2.1")
	resp, err := client.Do(req)
	if err != nil {
		return &door{err: err}
	}
	defer resp.Body.Close()
	// What it says is of no interest, only that it ends well.
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return &door{err: fmt.Errorf("reading the answer: %w", err)}
	}
	return &door{status: resp.StatusCode}
}
