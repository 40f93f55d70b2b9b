// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
)

func TestTheSameFaultHasTheSameWords(t *testing.T) {
	attempt := func(port int) error {
		cut := &net.OpError{
			Op: "read", Net: "tcp", Err: errors.New("connection reset by peer"),
			Source: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: port}, Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 443},
		}
		return fmt.Errorf("posting objects: %w", &url.Error{Op: "Post", URL: "https://siem.alfa.example/?key=secret", Err: cut})
	}
	name := func(port int) error {
		return &net.DNSError{Name: "siem.alfa.example", Err: fmt.Sprintf("read udp 192.0.2.1:%d->192.0.2.53:53: i/o timeout", port)}
	}
	for _, fault := range []func(int) error{attempt, name} {
		first, second := explain(fault(40001)), explain(fault(40002))
		if first != second || strings.Contains(first, "secret") || !strings.Contains(first, "see whether") {
			t.Errorf("it says %q, then %q", first, second)
		}
	}
}
