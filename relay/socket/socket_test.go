// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package socket_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/socket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := socket.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// pair returns the two ends of a connection.
func pair(t *testing.T, l net.Listener, address string) (dialled, accepted net.Conn) {
	t.Helper()
	dialled, err := socket.Dial(t.Context(), address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close() })
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return dialled, accepted
}

// hasIPv6: containers often have none.
func hasIPv6(t *testing.T) bool {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(a net.Addr) bool { return strings.HasPrefix(a.String(), "::1/") })
}

func TestBytesAndEndsGoBothWays(t *testing.T) {
	for name, address := range map[string]string{"IPv4": "127.0.0.1", "IPv6": "::1", "a name": "localhost"} {
		if address == "::1" && !hasIPv6(t) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			l := listen(t, net.JoinHostPort(strings.Replace(address, "localhost", "127.0.0.1", 1), "0"))
			_, port, err := net.SplitHostPort(l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			a, b := pair(t, l, net.JoinHostPort(address, port))
			if a.RemoteAddr().String() != l.Addr().String() || b.RemoteAddr().String() != a.LocalAddr().String() {
				t.Errorf("%s to %s arrives as %s", a.LocalAddr(), a.RemoteAddr(), b.RemoteAddr())
			}
			for _, c := range []net.Conn{a, b} {
				if _, err := c.Write([]byte(name)); err != nil {
					t.Fatal(err)
				}
				if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range []net.Conn{a, b} {
				if got, err := io.ReadAll(c); err != nil || string(got) != name {
					t.Errorf("%q arrived, %v", got, err)
				}
			}
		})
	}
}

func TestAConnectionThatIsClosedSaysSo(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	a, _ := pair(t, l, l.Addr().String())
	ended := make(chan error, 2)
	go func() {
		_, err := a.Read(make([]byte, 1))
		ended <- err
	}()
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	a.Close()
	l.Close()
	for range 2 {
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("it ended with %v", err)
		}
	}
	if _, err := a.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing: %v", err)
	}
	if err := a.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closing again: %v", err)
	}
}

func TestADeadlineEndsAReadAndCanBeLifted(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	a, b := pair(t, l, l.Addr().String())
	if err := a.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the read ended with %v", err)
	}
	if err := a.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if n, err := a.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("after it was lifted: %d, %v", n, err)
	}
}

func TestAResetIsSeenAsAFailure(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	for name, which := range map[string]int{"the side that dialled": 0, "the side that accepted": 1} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, l, l.Addr().String())
			ends := [...]net.Conn{a, b}
			socket.Reset(ends[which])
			if _, err := ends[1-which].Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the other end reads %v", err)
			}
		})
	}
}

func TestADialThatFailsSaysWhy(t *testing.T) {
	gone := listen(t, "127.0.0.1:0")
	gone.Close()
	if _, err := socket.Dial(t.Context(), gone.Addr().String(), patience); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := socket.Dial(ended, gone.Addr().String(), patience); !errors.Is(err, context.Canceled) {
		t.Errorf("the context has ended: %v", err)
	}
	if _, err := socket.Dial(t.Context(), "127.0.0.1", patience); err == nil {
		t.Error("there is no port")
	}
}

func TestTheBinClosesWhatIsPutIntoIt(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	var bin socket.Bin
	a, b := pair(t, l, l.Addr().String())
	bin.Put(b)
	isClosed(t, a)
	a, b = pair(t, l, l.Addr().String())
	bin.Put(b)
	bin.Empty()
	if _, err := b.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it is not closed though the bin was emptied: %v", err)
	}
	a.Close()
}

// counted counts how many were closed.
type counted struct {
	net.Conn
	closed *atomic.Int32
}

// Close is net.Conn.
func (c counted) Close() error {
	c.closed.Add(1)
	return nil
}

func TestABinThatIsFullClosesAllAtOnce(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		var bin socket.Bin
		var closed atomic.Int32
		for _, before := range []int32{0, socket.BinFull} {
			for range socket.BinFull - 1 {
				bin.Put(counted{closed: &closed})
			}
			if n := closed.Load(); n != before {
				t.Errorf("%d were closed before it was full, not %d", n, before)
			}
			bin.Put(counted{closed: &closed})
			if n := closed.Load(); n != before+socket.BinFull {
				t.Errorf("%d were closed when it was full, not %d", n, before+socket.BinFull)
			}
		}
		bin.Put(counted{closed: &closed})
		<-time.After(time.Second)
		if n := closed.Load(); n != 2*socket.BinFull+1 {
			t.Errorf("%d were closed after a second, not all", n)
		}
	})
}

// isClosed waits until the other end has closed a connection.
func isClosed(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("it was not closed: %v", err)
	}
}
