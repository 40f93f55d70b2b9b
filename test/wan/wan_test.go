// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && nations

package wan_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/certlink/certlink/test/wan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func network(t *testing.T) (n *wan.Network, alfa, bravo *wan.Host) {
	t.Helper()
	n, err := wan.Config{Names: []string{"alfa", "bravo"}, Seed: 1}.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n, n.Host("alfa"), n.Host("bravo")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wire sends numbered datagrams from one address to another.
type wire struct {
	from, to net.PacketConn
}

func wired(t *testing.T, from, to *wan.Host, source, destination netip.Addr) wire {
	t.Helper()
	open := func(h *wan.Host, a netip.Addr) net.PacketConn {
		conn, err := h.ListenPacket(t.Context(), "udp4", netip.AddrPortFrom(a, 4000).String())
		must(t, err)
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	return wire{open(from, source), open(to, destination)}
}

func (w wire) send(t *testing.T, numbers ...int) {
	t.Helper()
	for _, i := range numbers {
		_, err := w.from.WriteTo([]byte(strconv.Itoa(i)), w.to.LocalAddr())
		must(t, err)
	}
}

// receive returns what arrives until nothing has for a while.
func (w wire) receive(t *testing.T, quiet time.Duration) (numbers []int) {
	t.Helper()
	buffer := make([]byte, 64)
	for {
		must(t, w.to.SetReadDeadline(time.Now().Add(quiet)))
		n, _, err := w.to.ReadFrom(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return numbers
		}
		must(t, err)
		i, err := strconv.Atoi(string(buffer[:n]))
		must(t, err)
		numbers = append(numbers, i)
	}
}

const quiet = 100 * time.Millisecond

func TestEachPairOfAddressesHasAWayOfItsOwn(t *testing.T) {
	n, alfa, bravo := network(t)
	first := wired(t, alfa, bravo, alfa.Address(0), bravo.Address(0))
	second := wired(t, alfa, bravo, alfa.Address(1), bravo.Address(1))
	back := wired(t, bravo, alfa, bravo.Address(2), alfa.Address(2))
	for _, c := range []struct {
		name string
		cut  []wan.Way
		want [3]int // what arrives of first, second and back
	}{
		{"none", nil, [3]int{1, 1, 1}},
		{"one_pair", []wan.Way{{From: alfa.Address(0), To: bravo.Address(0)}}, [3]int{0, 1, 1}},
		{"the_way_back_of_it", []wan.Way{{From: bravo.Address(0), To: alfa.Address(0)}}, [3]int{1, 1, 1}},
		{"one_address_of_bravo", wan.Between(alfa, bravo, bravo.Address(1)), [3]int{1, 0, 1}},
		{"from_alfa_to_bravo", wan.OneWay(alfa, bravo), [3]int{0, 0, 1}},
		{"from_bravo_to_alfa", wan.Back(wan.OneWay(alfa, bravo)), [3]int{1, 1, 0}},
		{"all", wan.Between(alfa, bravo), [3]int{0, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			must(t, n.Restore())
			must(t, n.Cut(c.cut...))
			var got [3]int
			for i, w := range []wire{first, second, back} {
				w.send(t, 1)
				got[i] = len(w.receive(t, quiet))
			}
			if got != c.want {
				t.Errorf("arrived %v, want %v", got, c.want)
			}
		})
	}
}

func TestACutTakesWhatIsUnderWay(t *testing.T) {
	n, alfa, bravo := network(t)
	w := wired(t, alfa, bravo, alfa.Address(0), bravo.Address(0))
	must(t, n.Delay(300*time.Millisecond, wan.OneWay(alfa, bravo)...))
	w.send(t, 1, 2, 3)
	if got := w.receive(t, quiet); got != nil {
		t.Fatalf("%v arrived before the delay was over", got)
	}
	must(t, n.Cut(wan.OneWay(alfa, bravo)...))
	w.send(t, 4)
	for n.Counts(wan.OneWay(alfa, bravo)...).Packets < 4 {
		must(t, t.Context().Err())
	}
	must(t, n.Restore())
	w.send(t, 5)
	if got := w.receive(t, 400*time.Millisecond); fmt.Sprint(got) != "[5]" {
		t.Errorf("arrived %v, want only what was sent after the cut", got)
	}
	if c := n.Counts(wan.OneWay(alfa, bravo)...); c.Packets != 5 || c.Dropped != 4 {
		t.Errorf("counted %+v, want 5 packets and 4 dropped", c)
	}
}

func TestADelayHoldsInEachDirectionOfAConnection(t *testing.T) {
	n, alfa, bravo := network(t)
	const by = 60 * time.Millisecond
	must(t, n.Delay(by, wan.Between(alfa, bravo)...))
	address := netip.AddrPortFrom(bravo.Address(3), 8443).String()
	listener, err := bravo.Listen(t.Context(), "tcp", address)
	must(t, err)
	defer listener.Close()
	start := time.Now()
	conn, err := alfa.DialFrom(t.Context(), alfa.Address(1), "tcp", address)
	must(t, err)
	defer conn.Close()
	// Two directions; on a busy machine it is more.
	if took := time.Since(start); took < 2*by || took > 2*by+time.Second {
		t.Errorf("a handshake took %s, want %s", took, 2*by)
	}
	accepted, err := listener.Accept()
	must(t, err)
	defer accepted.Close()
	if from := accepted.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); from != alfa.Address(1) {
		t.Errorf("the caller is %s, want %s", from, alfa.Address(1))
	}
}

func TestTheSameSeedLosesTheSamePackets(t *testing.T) {
	var runs [3]string
	numbers := make([]int, 200)
	for i := range numbers {
		numbers[i] = i
	}
	for i, seed := range []uint64{7, 7, 8} {
		n, err := wan.Config{Names: []string{"alfa", "bravo"}, Seed: seed}.New(t.Context())
		must(t, err)
		w := wired(t, n.Host("alfa"), n.Host("bravo"), n.Host("alfa").Address(0), n.Host("bravo").Address(0))
		must(t, n.Loss(20, wan.OneWay(n.Host("alfa"), n.Host("bravo"))...))
		w.send(t, numbers...)
		got := w.receive(t, quiet)
		runs[i] = fmt.Sprint(got)
		if len(got) < 120 || len(got) > 190 {
			t.Errorf("of 200 packets %d arrived, want about 160", len(got))
		}
		must(t, n.Close())
	}
	if runs[0] != runs[1] {
		t.Errorf("with the same seed arrived\n%s and\n%s", runs[0], runs[1])
	}
	if runs[0] == runs[2] {
		t.Error("with another seed the same packets were lost")
	}
}

func TestAnAddressOfNobodyIsRefusedAtOnce(t *testing.T) {
	_, alfa, _ := network(t)
	conn, err := alfa.DialContext(t.Context(), "tcp", "198.18.77.1:80")
	if !errors.Is(err, unix.EHOSTUNREACH) {
		t.Errorf("dialling gave %v, %v, want %v", conn, err, unix.EHOSTUNREACH)
	}
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	n, alfa, bravo := network(t)
	stranger := netip.MustParseAddr("198.18.77.1")
	for name, err := range map[string]error{
		"an address of nobody": n.Cut(wan.Way{From: alfa.Address(0), To: stranger}),
		"a loss of 101":        n.Loss(101, wan.OneWay(alfa, bravo)...),
		"a delay of an hour":   n.Delay(time.Hour, wan.OneWay(alfa, bravo)...),
		"the same name twice":  second(wan.New(t.Context(), "alfa", "alfa")),
		"no host":              second(wan.New(t.Context())),
	} {
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func second(_ *wan.Network, err error) error { return err }

func TestACommandRunsInsideAndIsKilledByItsNumber(t *testing.T) {
	_, alfa, _ := network(t)
	out, err := alfa.Run(t.Context(), "ip", "-brief", "addr", "show", "dev", "wan")
	must(t, err)
	for _, a := range alfa.Addresses() {
		if !strings.Contains(string(out), a.String()) {
			t.Errorf("address %s is not inside: %s", a, out)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sleep", "600")
	must(t, alfa.Start(cmd))
	must(t, unix.Kill(cmd.Process.Pid, unix.SIGKILL))
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("it ended with %v, want killed", err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	n, alfa, _ := network(t)
	// A child and a grandchild of the shell, which tells the grandchild's number.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "sleep 600 & echo $!; wait")
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, alfa.Start(cmd))
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	grandchild, err := strconv.Atoi(strings.TrimSpace(line))
	must(t, err)
	must(t, n.Close())
	must(t, n.Close())
	if err := cmd.Wait(); err == nil {
		t.Error("the command ended as if nobody had killed it")
	}
	if link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", grandchild)); err == nil {
		t.Errorf("process %d lives on in %s", grandchild, link)
	}
	if err := alfa.Start(exec.CommandContext(context.Background(), "true")); !errors.Is(err, wan.ErrClosed) {
		t.Errorf("a command after Close gave %v", err)
	}
	if err := n.Cut(wan.Between(alfa, alfa)...); !errors.Is(err, wan.ErrClosed) {
		t.Errorf("a cut after Close gave %v", err)
	}
}
