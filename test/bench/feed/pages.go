// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/taxii"
	"github.com/certlink/certlink/test/bench/figures"
)

// pageObjects is the number of objects in the pages that are timed.
const pageObjects = 1000

// partner is a TAXII client of bravo's at alfa's link port: plain HTTP/1.1 over mutual TLS.
type partner struct {
	http *http.Client
	base string
}

func newPartner(w *world) (*partner, error) {
	pair, err := w.bravo.CA.Issue(testca.Leaf{Path: "/relay"})
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(w.alfa.CA.Root)
	cfg := &tls.Config{
		Certificates: []tls.Certificate{pair.TLS()}, RootCAs: roots, ServerName: "localhost",
		NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS13,
	}
	transport := &http.Transport{TLSClientConfig: cfg, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, w.alfa.Config.Listen.Link)
	}}
	return &partner{http: &http.Client{Transport: transport}, base: "https://localhost/taxii2/feeds/collections/" + feedName + "/"}, nil
}

// get reads an answer to its end.
func (p *partner) get(ctx context.Context, what string, query url.Values, to io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+what+"/?"+query.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", taxii.MediaType)
	resp, err := p.http.Do(req)
	if err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("reading %s: the relay answers %s", what, resp.Status)
	}
	if _, err := io.Copy(to, resp.Body); err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	return nil
}

// dates walks over the manifest and returns when the objects with these numbers,
// counted from 1 and ascending, were added.
func (p *partner) dates(ctx context.Context, numbers ...int) ([]string, error) {
	query := url.Values{"limit": {strconv.Itoa(taxii.MaxLimit)}, "match[version]": {"all"}}
	var dates []string
	for seen := 0; len(dates) < len(numbers); {
		read, write := io.Pipe()
		go func() { write.CloseWithError(p.get(ctx, "manifest", query, write)) }()
		var m taxii.Manifest
		err := json.NewDecoder(read).Decode(&m)
		read.Close()
		if err != nil {
			return nil, fmt.Errorf("reading a manifest: %w", err)
		}
		for _, o := range m.Objects {
			if seen++; len(dates) < len(numbers) && seen == numbers[len(dates)] {
				dates = append(dates, o.DateAdded)
			}
		}
		if m.Next == "" {
			break
		}
		query.Set("next", m.Next)
	}
	if len(dates) < len(numbers) {
		return nil, fmt.Errorf("reading a manifest: it ends before object %d", numbers[len(dates)])
	}
	return dates, nil
}

// pages times pages behind object 1,000 and pages at the end, in turn.
func (b *bench) pages(ctx context.Context, w *world, objects int) error {
	p, err := newPartner(w)
	if err != nil {
		return err
	}
	defer p.http.CloseIdleConnections()
	dates, err := p.dates(ctx, pageObjects, objects-pageObjects)
	if err != nil {
		return err
	}
	var took [2][]float64
	for range b.scale.pages {
		for i, date := range dates {
			query := url.Values{"limit": {strconv.Itoa(pageObjects)}, "added_after": {date}, "match[version]": {"all"}}
			begun := time.Now()
			if err := p.get(ctx, "objects", query, io.Discard); err != nil {
				return err
			}
			took[i] = append(took[i], float64(time.Since(begun).Microseconds())/1000)
		}
	}
	near, far := figures.Quantile(took[0], 0.5), figures.Quantile(took[1], 0.5)
	b.results.AddValue("feed.page_time_ratio_1m", "ratio", "<= 1.5", far/near, b.scale.pages)
	b.results.Add("feed.page_ms.first", "ms", "", took[0])
	b.results.Add("feed.page_ms.last", "ms", "", took[1])
	return nil
}
