// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
)

// closing listens where every connection is closed at once, and counts them.
func closing(t *testing.T) (address string, count *atomic.Int64) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	count = new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return listener.Addr().String(), count
}

func TestManyWhoWaitForAPeerThatIsDownDoNotStormIt(t *testing.T) {
	alfa, bravo := newSide(t, "alfa"), newSide(t, "bravo")
	address, dials := closing(t)
	alfa.join(t, "bravo", bravo, []config.Endpoint{{Address: address}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var clients sync.WaitGroup
	for range 50 {
		clients.Go(func() {
			for ctx.Err() == nil {
				if s, err := alfa.pool.Open(ctx, "bravo.example"); err == nil {
					s.Abort()
					t.Error("a stream to nobody")
				}
			}
		})
	}
	clients.Wait()
	// One each before it is known to be down, then 20 a second, and those kept ready.
	if n := dials.Load(); n > 150 {
		t.Errorf("%d connections were dialled in a second", n)
	}
}
