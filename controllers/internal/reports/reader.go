// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package reports

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/certlink/certlink/relay/report"
)

// maxReportBytes bounds a report: some kilobytes for each of 1,024 peers.
const maxReportBytes = 16 << 20

// Target is a relay to follow.
type Target struct {
	// LocalCERT that the relay belongs to, by name.
	LocalCERT string
	// Address is HOST:PORT of the relay's local port.
	Address string
	// ServerName is the DNS name that the relay's certificate must carry.
	ServerName string
	// TrustDomain of the relay: its certificate must also carry
	// spiffe://TRUSTDOMAIN/local.
	TrustDomain string
	// CertificatePEM and KeyPEM are our client certificate.
	CertificatePEM, KeyPEM []byte
	// RootsPEM are the CA certificates of the relay's own side. Both the old and
	// the new while a CA is replaced.
	RootsPEM []byte
}

func (t Target) equal(o Target) bool {
	return t.LocalCERT == o.LocalCERT && t.Address == o.Address && t.ServerName == o.ServerName &&
		t.TrustDomain == o.TrustDomain && bytes.Equal(t.CertificatePEM, o.CertificatePEM) &&
		bytes.Equal(t.KeyPEM, o.KeyPEM) && bytes.Equal(t.RootsPEM, o.RootsPEM)
}

// reader reads the reports of one relay.
type reader struct {
	url       string
	http      *http.Client
	transport *http.Transport
}

func newReader(t *Target) (*reader, error) {
	certificate, err := tls.X509KeyPair(t.CertificatePEM, t.KeyPEM)
	if err != nil {
		return nil, fmt.Errorf("reading our client certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(t.RootsPEM) {
		return nil, errors.New("reading our CA certificates: there are none")
	}
	want := url.URL{Scheme: "spiffe", Host: t.TrustDomain, Path: "/local"}
	dialer := &net.Dialer{
		Timeout:         5 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 3 * time.Second, Count: 3},
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, t.Address)
		},
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: report.MaxWait + 10*time.Second,
		MaxConnsPerHost:       1,
		IdleConnTimeout:       time.Minute,
		TLSClientConfig: &tls.Config{
			MinVersion:   tls.VersionTLS13,
			Certificates: []tls.Certificate{certificate},
			RootCAs:      roots,
			ServerName:   t.ServerName,
			VerifyConnection: func(state tls.ConnectionState) error {
				uris := state.PeerCertificates[0].URIs
				if len(uris) != 1 || uris[0].String() != want.String() {
					return fmt.Errorf("the certificate at %s is not that of %s", t.Address, want.String())
				}
				return nil
			},
		},
	}
	return &reader{
		url: "https://" + t.ServerName + report.Path,
		http: &http.Client{
			Transport: transport,
			Timeout:   report.MaxWait + 15*time.Second,
			// A relay answers by itself.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		transport: transport,
	}, nil
}

func (r *reader) close() { r.transport.CloseIdleConnections() }

// read returns the report, as soon as its revision is another than since; nil
// when it stays the same for the time that the relay holds a request.
func (r *reader) read(ctx context.Context, since string) (*report.Report, error) {
	address := r.url
	if since != "" {
		address += "?since=" + url.QueryEscape(since)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("asking for the report: %w", err)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for the report: %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNotModified:
		return nil, nil
	case http.StatusOK:
	default:
		return nil, fmt.Errorf("asking for the report: the relay answered %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReportBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	if len(body) > maxReportBytes {
		return nil, fmt.Errorf("reading the report: it has more than %d bytes", maxReportBytes)
	}
	var got report.Report
	// Unknown fields are left aside: a newer relay may say more.
	if err := json.Unmarshal(body, &got); err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	if got.Revision == "" {
		return nil, errors.New("reading the report: it has no revision")
	}
	return &got, nil
}
