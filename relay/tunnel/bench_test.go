// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// Each benchmark runs the same load through two relays of ours and, if it is
// installed, through two haproxies. Figures are of the pair: CPU of all its threads,
// as the kernel counts it, and resident memory.
//
//	go test ./relay/tunnel -run '^$' -bench . -benchtime 2000x
var proxies = []struct {
	name  string
	start func(testing.TB, string, string) rig
}{{"certlink", certlinkPair}, {"haproxy", haproxyPair}}

func eachProxy(b *testing.B, run func(*testing.B, rig)) {
	for _, p := range proxies {
		b.Run(p.name, func(b *testing.B) {
			r := p.start(b, benchCertificates(b), serveTCP(b, benchTarget))
			eventually(b, "the pair is up", func() bool {
				c, err := net.Dial("tcp", r.address)
				if err != nil {
					return false
				}
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(time.Second))
				_, err = c.Write(command('e', 1))
				if err == nil {
					_, err = c.Write([]byte("x"))
				}
				if err == nil {
					_, err = io.ReadFull(c, make([]byte, 1))
				}
				return err == nil
			})
			run(b, r)
		})
	}
}

// benchTarget does what the client's first 9 bytes say: 's' sends so many bytes,
// 'e' echoes.
func benchTarget(c *net.TCPConn) {
	var what [9]byte
	if _, err := io.ReadFull(c, what[:]); err != nil {
		return
	}
	if what[0] == 'e' {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	chunk := make([]byte, 256<<10)
	for left := binary.BigEndian.Uint64(what[1:]); left > 0; {
		n, err := c.Write(chunk[:min(left, uint64(len(chunk)))])
		if err != nil {
			return
		}
		left -= uint64(n) //nolint:gosec // never negative
	}
}

func command(what byte, n int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{what}, uint64(n)) //nolint:gosec // never negative
}

func connect(b *testing.B, r rig) net.Conn {
	b.Helper()
	var d net.Dialer
	c, err := d.DialContext(context.Background(), "tcp", r.address)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkBulk moves b.N MiB from the target to the client, over one connection
// and over sixteen.
func BenchmarkBulk(b *testing.B) {
	for _, streams := range []int{1, 16} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			eachProxy(b, func(b *testing.B, r rig) {
				before := r.cpu(b)
				b.ResetTimer()
				var wg sync.WaitGroup
				each := int64(b.N) << 20 / int64(streams)
				for range streams {
					wg.Go(func() { download(b, r, each) })
				}
				wg.Wait()
				b.StopTimer()
				gigabytes := float64(each*int64(streams)) / 1e9
				b.SetBytes(1 << 20)
				b.ReportMetric((r.cpu(b)-before).Seconds()/gigabytes, "cpu-s/GB")
			})
		})
	}
}

func download(b *testing.B, r rig, n int64) {
	c := connect(b, r)
	defer c.Close()
	if _, err := c.Write(command('s', n)); err != nil {
		b.Error(err)
		return
	}
	buf := make([]byte, 256<<10)
	for n > 0 {
		m, err := c.Read(buf)
		if n -= int64(m); err != nil && n > 0 {
			b.Error(err)
			return
		}
	}
}

// BenchmarkNewConnection opens a connection, moves 64 bytes there and back and
// closes it, one after another.
func BenchmarkNewConnection(b *testing.B) {
	eachProxy(b, func(b *testing.B, r rig) {
		before := r.cpu(b)
		b.ResetTimer()
		for range b.N {
			c := connect(b, r)
			roundTrip(b, c, append(command('e', 0), make([]byte, 64)...), make([]byte, 64))
			c.Close()
		}
		b.StopTimer()
		b.ReportMetric((r.cpu(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/conn")
	})
}

func roundTrip(b *testing.B, c net.Conn, out, in []byte) {
	if _, err := c.Write(out); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(c, in); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRoundTrip moves 64 bytes there and back over one open connection.
func BenchmarkRoundTrip(b *testing.B) {
	eachProxy(b, func(b *testing.B, r rig) {
		c := connect(b, r)
		defer c.Close()
		buf := make([]byte, 64)
		roundTrip(b, c, append(command('e', 0), buf...), buf)
		took := make([]time.Duration, 0, b.N)
		before := r.cpu(b)
		b.ResetTimer()
		for range b.N {
			began := time.Now()
			roundTrip(b, c, buf, buf)
			took = append(took, time.Since(began))
		}
		b.StopTimer()
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
		b.ReportMetric(float64((r.cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
	})
}

// BenchmarkIdle opens a thousand connections, uses each once, and leaves them open.
func BenchmarkIdle(b *testing.B) {
	eachProxy(b, func(b *testing.B, r rig) {
		empty := r.rss(b)
		var open []net.Conn
		for range 1000 {
			c := connect(b, r)
			buf := make([]byte, 64)
			roundTrip(b, c, append(command('e', 0), buf...), buf)
			open = append(open, c)
		}
		<-time.After(3 * time.Second)
		b.ReportMetric(empty, "empty-MiB")
		b.ReportMetric(r.rss(b), "idle-MiB")
		for _, c := range open {
			c.Close()
		}
	})
}
