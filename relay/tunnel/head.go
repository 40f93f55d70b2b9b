// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// maxHead is the largest head of a CONNECT or of its answer, in bytes.
const maxHead = 2 << 10

// maxService is the longest name of a service.
const maxService = 63

// errHead: what arrived is not the head of a CONNECT or of its answer.
var errHead = errors.New("not a head that we understand")

// request encodes the head of a CONNECT.
func request(service string) []byte {
	return []byte("CONNECT " + service + " HTTP/1.1\r\nHost: " + service + "\r\n\r\n")
}

// response encodes the head of an answer. The reason is one line.
func response(status int, reason string) []byte {
	if status == http.StatusOK {
		return []byte("HTTP/1.1 200 OK\r\n\r\n")
	}
	return []byte("HTTP/1.1 " + strconv.Itoa(status) + " " + reason + "\r\nContent-Length: 0\r\n\r\n")
}

// readHead reads up to the empty line, and returns also what came after it in the
// same read. It never reads more than maxHead bytes.
func readHead(r io.Reader) (head, rest []byte, err error) {
	b := make([]byte, 0, 256)
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):min(cap(b), maxHead)])
		from := max(0, len(b)-3)
		b = b[:len(b)+n]
		if i := bytes.Index(b[from:], []byte("\r\n\r\n")); i >= 0 {
			i += from
			return b[:i], b[i+4:], nil
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil, fmt.Errorf("%w: it ends early", errHead)
		case err != nil:
			return nil, nil, fmt.Errorf("reading a head: %w", err)
		case len(b) >= maxHead:
			return nil, nil, fmt.Errorf("%w: longer than %d bytes", errHead, maxHead)
		}
	}
}

// parseRequest returns the service that a CONNECT asks for. It is strict: what two
// readers could understand differently is refused.
func parseRequest(head []byte) (service string, err error) {
	line, fields, _ := strings.Cut(string(head), "\r\n")
	if err := checkFields(fields); err != nil {
		return "", err
	}
	rest, ok := strings.CutPrefix(line, "CONNECT ")
	service, found := strings.CutSuffix(rest, " HTTP/1.1")
	if !ok || !found || !isService(service) {
		return "", fmt.Errorf("%w: the first line is not CONNECT SERVICE HTTP/1.1", errHead)
	}
	return service, nil
}

// parseResponse returns the status of an answer and its reason.
func parseResponse(head []byte) (status int, reason string, err error) {
	line, fields, _ := strings.Cut(string(head), "\r\n")
	if err := checkFields(fields); err != nil {
		return 0, "", err
	}
	rest, ok := strings.CutPrefix(line, "HTTP/1.1 ")
	code, reason, _ := strings.Cut(rest, " ")
	status, err = strconv.Atoi(code)
	if !ok || err != nil || len(code) != 3 || status < 200 || status > 599 || !printable(reason) {
		return 0, "", fmt.Errorf("%w: the first line is not that of an answer", errHead)
	}
	return status, reason, nil
}

// checkFields lets any fields pass but those that announce a body.
func checkFields(fields string) error {
	for line := range strings.SplitSeq(fields, "\r\n") {
		if line == "" {
			continue // of an empty list: an empty line would have ended the head
		}
		name, value, ok := strings.Cut(line, ":")
		switch {
		case !ok || name == "" || !isToken(name) || !printable(strings.ReplaceAll(value, "\t", " ")):
			return fmt.Errorf("%w: a field is malformed", errHead)
		case strings.EqualFold(name, "Transfer-Encoding"),
			strings.EqualFold(name, "Content-Length") && strings.Trim(value, " \t") != "0":
			return fmt.Errorf("%w: a body is announced", errHead)
		}
	}
	return nil
}

// isService: the names of services in the configuration.
func isService(s string) bool {
	return s != "" && len(s) <= maxService && strings.IndexFunc(s, func(r rune) bool {
		return r != '-' && r != '.' && r != '_' && !alphanumeric(r)
	}) < 0
}

// isToken: RFC 9110 section 5.6.2.
func isToken(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return !alphanumeric(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}) < 0
}

func alphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}
