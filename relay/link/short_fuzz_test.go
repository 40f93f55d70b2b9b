// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/stream"
)

// telling answers with what it was asked, in the way that the end of the path says.
func telling(w http.ResponseWriter, r *http.Request) {
	how := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	switch how {
	case "refusing":
		http.Error(w, "no", http.StatusTeapot)
		return
	case "panicking":
		panic(http.ErrAbortHandler)
	case "early":
		_, _ = io.WriteString(w, "early ")
	}
	body, err := io.ReadAll(r.Body)
	if how == "slow" {
		<-time.After(time.Second) // meanwhile somebody watches whether the peer waits
	}
	fmt.Fprintf(w, "%s %q %q %s %q %v %d %q %v", r.Method, r.RequestURI, r.URL.Path, r.Proto, r.Host, r.Header, r.ContentLength, body, err)
}

// served is what a peer gets for what it sent.
type served struct {
	answer string
	goesOn bool // the connection can be used again
}

// sends opens a stream, writes the bytes of a request in as many frames, and ends it.
func (s *slow) sends(t *testing.T, frames ...[]byte) served {
	conn, _ := s.dial(t, link.Hotline)
	c, err := stream.Client(conn, stream.Hello{Address: "bravo.example:8443"}, stream.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Cut()
	st, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		for _, frame := range frames {
			if _, err := st.Write(frame); err != nil {
				return // the answer says why
			}
		}
		_ = st.CloseWrite()
	})
	<-time.After(time.Millisecond) // what is written first opens the stream
	got, err := io.ReadAll(io.LimitReader(st, 1<<20))
	sending.Wait()
	st.Close()
	<-time.After(time.Minute) // both sides have ended it, or the connection
	return served{answer: told(got, err), goesOn: c.Err() == nil && !c.Busy()}
}

// told is an answer without what differs each time.
func told(got []byte, err error) string {
	resp, malformed := http.ReadResponse(bufio.NewReader(bytes.NewReader(got)), nil)
	if malformed != nil {
		return fmt.Sprintf("%q, %t", got, err != nil)
	}
	defer resp.Body.Close()
	body, ended := io.ReadAll(resp.Body)
	resp.Header.Del("Date")
	return fmt.Sprintf("%s %v %d %q, %v, %t", resp.Status, resp.Header, resp.ContentLength, body, ended, err != nil)
}

// FuzzAShortRequestIsServedAsTheServerOfNetHTTPServesIt sends the same bytes so that they are served by the goroutine that
// reads them, if they are a short request, and so that they are not: what comes in pieces goes to that server.
func FuzzAShortRequestIsServedAsTheServerOfNetHTTPServesIt(f *testing.F) {
	post := func(how, header, body string) string {
		return "POST " + link.PathHotline + how + " HTTP/1.1\r\n" + header + "\r\n\r\n" + body
	}
	for _, how := range []string{"", "refusing", "panicking", "early", "slow"} {
		f.Add([]byte(post(how, "Host: x\r\nContent-Length: 3", "abc")))
		f.Add([]byte(post(how, "Host: x\r\nContent-Length: 3", "ab")))
		f.Add([]byte(post(how, "Host: x\r\nContent-Length: 3", "abcPOST / HTTP/1.1\r\n\r\n")))
	}
	for _, header := range []string{
		"Content-Length: 3", "Host:\r\nContent-Length: 3", "Host: x\r\nHost: y\r\nContent-Length: 3",
		"Host: a b\r\nContent-Length: 3", "Host: <x>\r\nContent-Length: 3", "Host: [::1]:80\r\nContent-Length: 3",
		"Host: x\r\nContent-Length: 3\r\nContent-Length: 3", "Host: x\r\nContent-Length: 3\r\nContent-Length: 2",
		"Host: x\r\nContent-Length: 3, 3", "Host: x\r\nContent-Length: +3", "Host: x\r\nContent-Length: 0x3",
		"Host: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked", "Host: x\r\nContent-Length: 3\r\nTransfer-Encoding : chunked",
		"Host: x\r\nContent-Length : 2\r\nContent-Length: 3", "Host: x\r\nTransfer-Encoding: gzip\r\nContent-Length: 3",
		"Host: x\r\nContent-Length: 3\r\nExpect: 100-continue", "Host: x\r\nContent-Length: 3\r\nExpect: more",
		"Host: x\r\nContent-Length: 3\r\nX: a\r\n b", "Host: x\r\nContent-Length: 3\r\nX: a\x00b", "Host: x\r\nContent-Length: 3\r\nX: a\x7f\xff",
		"Host: x\r\nContent-Length: 3\r\nX\x00: a", "Host: x\r\nContent-Length: 3\r\nX", "Host: x\r\nContent-Length: 3\r\n: a",
		"Host: x\r\nContent-Length: 3\r\nConnection: Upgrade\r\nUpgrade: h2c", "Host: x\r\nContent-Length: 3\r\nTrailer: X",
		"Host: x\r\nContent-Length: 3\r\nPragma: no-cache\r\nConnection: keep-alive", " Host: x\r\nContent-Length: 3",
	} {
		f.Add([]byte(post("", header, "abc")))
	}
	for _, line := range []string{
		"POST http://y/certlink/v1/hotline/x HTTP/1.1", "POST //y/certlink/v1/hotline/x HTTP/1.1", "POST * HTTP/1.1", "POST /%zz HTTP/1.1",
		"POST /other HTTP/1.1", "POST /certlink/v1/hotline/../x HTTP/1.1", "POST /certlink/v1/hotline/x?a=1;b#c HTTP/1.1",
		"POST /certlink/v1/hotline/x HTTP/1.0", "POST /certlink/v1/hotline/x HTTP/2.0", "POST /certlink/v1/hotline/x HTTP/1.7",
		"POST /certlink/v1/hotline/x", "post /certlink/v1/hotline/x HTTP/1.1", "CONNECT y:1 HTTP/1.1", "OPTIONS * HTTP/1.1",
		"GET /certlink/v1/hotline/x HTTP/1.1", "PRI * HTTP/2.0", "\r\n\r\nPOST /certlink/v1/hotline/x HTTP/1.1",
	} {
		f.Add([]byte(line + "\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"))
		f.Add([]byte(line + "\r\nContent-Length: 3\r\n\r\nabc"))
		f.Add([]byte(line + "\nHost: x\nContent-Length: 6\n\na\r\n\r\nb"))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		if len(sent) < 2 || len(sent) > 4000 || sent[0] == '\n' {
			return // each way shall read all of it: an answer to what it has not read ends the connection
		}
		testbubble.Run(t, func(t *testing.T) {
			s := newSlow(t)
			s.answering(telling)
			short, usual := s.sends(t, sent), s.sends(t, sent[:1], sent[1:])
			if short != usual {
				t.Errorf("%q\nis answered %s, the connection goes on: %t\nand by net/http %s, %t", sent, short.answer, short.goesOn, usual.answer, usual.goesOn)
			}
		})
	})
}
