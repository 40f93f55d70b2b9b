// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testca"
)

// plainRequest asks the side's link port as a client that is no relay of ours,
// and returns the status, or why there was no answer.
func plainRequest(t *testing.T, s *side, pair testca.Pair, protocol, path string) (int, error) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(s.ca.Root)
	dialer := tls.Dialer{Config: &tls.Config{
		Certificates: []tls.Certificate{pair.TLS()}, RootCAs: roots, ServerName: "localhost", NextProtos: []string{protocol},
	}}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}
