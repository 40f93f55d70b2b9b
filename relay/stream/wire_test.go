// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func rawFrame(k kind, payload string) []byte {
	var b [headerSize]byte
	putHeader(b[:], k, len(payload))
	return append(b[:], payload...)
}

func TestHeadersOutOfBoundsAreRefused(t *testing.T) {
	for name, b := range map[string][headerSize]byte{
		"kind 0":            {0, 0, 0, 0},
		"a later kind":      {byte(kindRenew) + 1, 0, 0, 0},
		"data of 64 KiB":    {byte(kindData), 1, 0, 0},
		"data of 16 MiB":    {byte(kindData), 255, 255, 255},
		"empty data":        {byte(kindData), 0, 0, 0},
		"an endless hello":  {byte(kindHello), 0, 4, 1},
		"open with payload": {byte(kindOpen), 0, 0, 1},
	} {
		if _, _, err := parseHeader(b); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
	k, n, err := parseHeader([headerSize]byte{byte(kindData), 0, 0xff, 0xfc})
	if k != kindData || n != MaxData || err != nil {
		t.Error(k, n, err)
	}
}

func TestWhatAFrameMeans(t *testing.T) {
	allowed := map[state]map[kind]action{
		parked:   {kindOpen: actTheirs, kindAbort: actEnded},
		unsent:   {kindOpen: actYield, kindAbort: actRefused},
		opened:   {kindOpen: actYield, kindAccept: actAccepted, kindAbort: actRefused},
		ignoring: {kindAccept: actAccepted, kindData: actSkip, kindEnd: actSkip, kindAbort: actRefused},
		taken:    {kindData: actData, kindEnd: actEnd, kindAbort: actAborted},
		half:     {kindAbort: actAborted},
	}
	for st, kinds := range allowed {
		for k := kindHello; k <= kindRenew; k++ {
			want, ok := kinds[k]
			got, err := decide(st, false, k)
			if ok != (err == nil) || got != want {
				t.Errorf("state %d, %v: action %d, %v", st, k, got, err)
			}
			if err != nil && !errors.Is(err, ErrProtocol) {
				t.Errorf("state %d, %v: %v", st, k, err)
			}
		}
	}
	for st := parked; st <= half; st++ {
		if got, err := decide(st, true, kindRenew); got != actRenew || err != nil {
			t.Errorf("state %d, RENEW: the side that dialled does %d, %v", st, got, err)
		}
	}
	if got, _ := decide(opened, true, kindOpen); got != actIgnore {
		t.Errorf("the side that dialled does %d", got)
	}
}

func TestHelloIsBounded(t *testing.T) {
	for name, payload := range map[string]string{
		"no JSON":           "{",
		"an array":          "[]",
		"a long address":    fmt.Sprintf(`{"address":%q}`, strings.Repeat("a", 301)),
		"a long instance":   fmt.Sprintf(`{"instance":%q}`, strings.Repeat("a", 101)),
		"control character": `{"address":"a\nb"}`,
		"no UTF-8":          "{\"address\":\"\xff\"}",
	} {
		if _, err := parseHello([]byte(payload)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h, err := parseHello([]byte(`{"address":"a:1","later":{"x":1}}`))
	if err != nil || h.Address != "a:1" {
		t.Error(h, err)
	}
}

// hostile is what the other side may send to each role, and what must come of it.
func TestAHostileSideIsCutOffWithAReason(t *testing.T) {
	hello := string(rawFrame(kindHello, `{"address":"a:1"}`))
	open := string(rawFrame(kindOpen, ""))
	for name, c := range map[string]struct{ sends, reason string }{
		"data while parked":     {hello + string(rawFrame(kindData, "x")), "DATA while no stream was open"},
		"accept while parked":   {hello + string(rawFrame(kindAccept, "")), "ACCEPT while no stream"},
		"hello twice":           {hello + hello, "HELLO while no stream"},
		"an unknown kind":       {hello + "\x77\x00\x00\x00", "unknown frame kind 119"},
		"open inside a stream":  {hello + open + open, "OPEN inside a stream"},
		"data after end":        {hello + open + string(rawFrame(kindEnd, "")) + string(rawFrame(kindData, "x")), "DATA after END"},
		"a frame that is large": {hello + open + "\x04\xff\xff\xff", "DATA of 16777215 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := net.Pipe()
			defer a.Close()
			go func() { _, _ = io.Copy(io.Discard, a) }()
			go func() { _, _ = io.WriteString(a, c.sends) }()
			closed := make(chan error, 1)
			conn, _, err := Server(Under(b), Config{
				Accept: func(s *Stream) {
					_, _ = io.Copy(io.Discard, s)
					<-s.c.Done()
					s.Close()
				},
				Closed: func(_ *Conn, err error) { closed <- err },
			})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Cut()
			if err := <-closed; !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), c.reason) {
				t.Fatal(err)
			}
		})
	}
}

func TestNoHelloNoConnection(t *testing.T) {
	for name, sends := range map[string]string{
		"nothing":         "",
		"another frame":   string(rawFrame(kindOpen, "")),
		"HTTP":            "GET / HTTP/1.1\r\n\r\n",
		"an endless HELL": "\x01\x00\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			a, b := net.Pipe()
			defer a.Close()
			go func() { _, _ = io.WriteString(a, sends) }()
			if _, _, err := Server(b, Config{HelloTimeout: 20 * time.Millisecond}); err == nil {
				t.Fatal("it was taken")
			}
			if _, err := b.Write([]byte("x")); err == nil {
				t.Fatal("the connection is open")
			}
		})
	}
}

func TestFramesComeApartAndTogether(t *testing.T) {
	begin := append(rawFrame(kindHello, `{}`), rawFrame(kindOpen, "")...)
	var script bytes.Buffer
	for _, f := range [][]byte{
		rawFrame(kindData, "one"), rawFrame(kindEnd, ""),
		rawFrame(kindOpen, ""), rawFrame(kindData, "two"), rawFrame(kindData, "three"), rawFrame(kindEnd, ""),
	} {
		script.Write(f)
	}
	for _, size := range []int{1, 3, 7, script.Len()} {
		a, b := tcp(t)
		got := make(chan string, 2)
		var heard atomic.Int64
		go func() {
			_, _ = a.Write(begin)
			// ACCEPT and END of the first stream: from then on the next may be opened.
			_, _ = io.CopyN(io.Discard, a, 2*headerSize)
			go func() { _, _ = io.Copy(io.Discard, a) }()
			for rest := script.Bytes(); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				_, _ = a.Write(rest[:min(size, len(rest))])
			}
		}()
		ended := make(chan error, 1)
		conn, _, err := Server(Under(b), Config{Heard: &heard, Closed: func(_ *Conn, err error) { ended <- err }, Accept: func(s *Stream) {
			defer s.Close()
			err := s.CloseWrite()
			data, readErr := io.ReadAll(s)
			if err := errors.Join(err, readErr); err != nil {
				t.Errorf("in pieces of %d: %v", size, err)
			}
			got <- string(data)
		}})
		if err != nil {
			t.Fatal(err)
		}
		var texts []string // the two streams are read by goroutines of their own
		for range 2 {
			select {
			case text := <-got:
				texts = append(texts, text)
			case err := <-ended:
				t.Fatalf("in pieces of %d: the connection ended: %v", size, err)
			}
		}
		if slices.Sort(texts); !slices.Equal(texts, []string{"one", "twothree"}) {
			t.Fatalf("in pieces of %d: %q", size, texts)
		}
		if heard.Load() == 0 {
			t.Error("nothing was heard")
		}
		conn.Cut()
		a.Close()
	}
}

func tcp(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func TestAnIdleConnectionHoldsNoBuffer(t *testing.T) {
	a, b := tcp(t)
	defer a.Close()
	w := Under(b).(*wire)
	w.Hold()
	if _, err := w.Write(make([]byte, 1000)); err != nil || w.out == nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil || w.out != nil || w.held {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(a, make([]byte, 1000)); n != 1000 {
		t.Fatal(n, err)
	}
	r := newSource(b)
	go func() { _, _ = a.Write([]byte("x")) }()
	buf, n, err := r.next()
	if n != 1 || err != nil || r.buf != nil {
		t.Fatal(n, err)
	}
	putFrame(buf)
}

// Data and the end of the connection may be one event of the kernel: who waits after
// reading the data only waits for ever.
func TestAnEndThatComesWithHalfAFrameIsNoticed(t *testing.T) {
	a, b := tcp(t)
	if _, err := a.Write(append(rawFrame(kindHello, `{}`), byte(kindOpen), 0)); err != nil {
		t.Fatal(err)
	}
	a.Close()
	closed := make(chan error, 1)
	conn, _, err := Server(Under(b), Config{Closed: func(_ *Conn, err error) { closed <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Cut()
	select {
	case <-closed:
	case <-time.After(30 * time.Second):
		t.Fatal("nobody noticed")
	}
}

// The other side sends anything at all, while we open streams and echo: nothing
// may hang, panic or outlive the connection.
func FuzzTheOtherSide(f *testing.F) {
	hello := rawFrame(kindHello, `{"address":"a:1"}`)
	f.Add([]byte{}, false)
	f.Add([]byte{2, 0, 0, 0, 4, 0, 0, 1, 'x', 5, 0, 0, 0}, false)
	f.Add([]byte{3, 0, 0, 0, 4, 0, 0, 1, 'x', 5, 0, 0, 0}, true)
	f.Add([]byte{2, 0, 0, 0, 2, 0, 0, 0, 6, 0, 0, 0}, true)
	f.Add([]byte{2, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0}, false)
	f.Fuzz(func(t *testing.T, script []byte, opens bool) {
		a, b := net.Pipe()
		closed := make(chan struct{})
		go func() { _, _ = io.Copy(io.Discard, a) }()
		go func() {
			_, _ = a.Write(hello)
			_, _ = a.Write(script)
			_ = a.Close()
		}()
		conn, _, err := Server(b, Config{
			Accept: func(s *Stream) { _, _ = s.WriteTo(s); s.Close() },
			Closed: func(*Conn, error) { close(closed) },
		})
		if err != nil {
			return
		}
		if s, err := conn.Open(); opens && err == nil {
			_, _ = s.Write([]byte("x"))
			_ = s.CloseWrite()
			_, _ = io.Copy(io.Discard, s)
			s.Close()
		} else if err == nil {
			s.Close()
		}
		select {
		case <-closed:
		case <-time.After(30 * time.Second):
			t.Fatal("it hangs")
		}
	})
}

func TestASideThatAsksForAnotherConnectionAgainAndAgainIsHeardOnce(t *testing.T) {
	const asks = 5000
	a, b := net.Pipe()
	defer a.Close()
	heard, ended := make(chan struct{}, asks), make(chan error, 1)
	go func() { _, _ = io.Copy(io.Discard, a) }()
	conn, err := Client(b, Hello{Address: "a:1", Renews: true}, Config{
		Renew:  func(*Conn) { heard <- struct{}{} },
		Closed: func(_ *Conn, err error) { ended <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Cut()
	if _, err := a.Write(bytes.Repeat(rawFrame(kindRenew, ""), asks)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write(rawFrame(kindAbort, "")); err != nil { // which ends a parked connection
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrClosed) || len(heard) != 1 {
		t.Errorf("it was heard %d times, %v", len(heard), err)
	}
}
