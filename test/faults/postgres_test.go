// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// onPostgres gives the nation a database of the tests' server.
func (n *nation) onPostgres(t *testing.T) {
	t.Helper()
	file := filepath.Join(n.dir, "url")
	if err := os.WriteFile(file, []byte(testpostgres.Shared(t).Fresh(t)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.cfg.Store = config.Store{Postgres: &config.Postgres{URLFile: file, MaxConnections: 8}}
}

// replica is a second relay of the nation: the same certificates and database,
// addresses of its own.
func (n *nation) replica(t *testing.T, name string) *nation {
	t.Helper()
	r := &nation{name: name, dir: t.TempDir(), ca: n.ca, cfg: n.cfg}
	r.cfg.Listen = config.Listen{Link: freePort(t), Local: freePort(t), Health: freePort(t)}
	if err := os.Symlink(filepath.Join(n.dir, "tls"), filepath.Join(r.dir, "tls")); err != nil {
		t.Fatal(err)
	}
	r.http = r.client(t, "desk")
	t.Cleanup(func() {
		r.kill(t)
		if t.Failed() && r.log != nil {
			t.Logf("last lines of %s's log:\n%s", r.name, r.log)
		}
	})
	return r
}

// trio are two relays of alfa on one database, and one of bravo on another.
func trio(t *testing.T) (one, two, bravo *nation) {
	t.Helper()
	alfa, bravo := newNation(t, "alfa"), newNation(t, "bravo")
	alfa.onPostgres(t)
	bravo.onPostgres(t)
	alfa.join(bravo)
	one, two = alfa, alfa.replica(t, "alfa-two")
	bravo.join(alfa)
	endpoints := &bravo.cfg.Peers[0].Endpoints
	*endpoints = append(*endpoints, config.Endpoint{Address: two.cfg.Listen.Link})
	one.start(t)
	two.start(t)
	bravo.start(t)
	return one, two, bravo
}

// leader is the one of two relays that delivers to bravo.
func leader(t *testing.T, one, two *nation) (leads, follows *nation) {
	t.Helper()
	eventually(t, "one of the two has the lease", func() bool { return one.log.hasLed() != two.log.hasLed() })
	if one.log.hasLed() {
		return one, two
	}
	return two, one
}

// TestARelayOnPostgresIsKilledAndAnotherTakesOver kills the relay that works, and
// then the database, while objects and messages flow both ways. None is lost and
// none is there twice.
func TestARelayOnPostgresIsKilledAndAnotherTakesOver(t *testing.T) {
	const objects, messages = 3000, 20
	one, two, bravo := trio(t)
	bravo.connected(t)
	leads, follows := leader(t, one, two)
	t.Logf("%s works", leads.name)
	// What the follower takes, the leader delivers, and hears of it at once.
	sendAll(t, follows, messages)
	delivered(t, bravo, messages)
	follows.pushAnyhow(t, "bravo", 0, objects)
	bravo.pushAnyhow(t, "alfa", objects, objects)
	collected(t, leads, "from-bravo", objects)
	follows.until(t, "knows of the other's pull", func(r report.Report) bool {
		return len(r.Imports) == 1 && !r.Imports[0].LastSuccess.IsZero() && r.Imports[0].Stored == objects
	})
	leads.kill(t)
	sendAll(t, follows, messages)
	follows.pushAnyhow(t, "bravo", 2*objects, objects)
	delivered(t, bravo, 2*messages)
	collected(t, bravo, "from-alfa", 2*objects)
	collected(t, follows, "from-bravo", objects)

	// The killed one comes back, and the database goes away for a moment.
	leads.start(t)
	server := testpostgres.Shared(t)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	pushed := make(chan struct{})
	go func() {
		defer close(pushed)
		leads.pushStored(t, "bravo", 3*objects, objects)
	}()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	<-pushed
	sendAll(t, leads, messages)
	delivered(t, bravo, 3*messages)
	collected(t, bravo, "from-alfa", 3*objects)
}

// pushStored pushes objects until the status of a push says that all are stored:
// while the database is away a push is taken, and its status tells of failures.
func (n *nation) pushStored(t *testing.T, peer string, from, count int) {
	t.Helper()
	var objects []string
	for i := range count {
		objects = append(objects, object(from+i))
	}
	for deadline := time.Now().Add(time.Minute); ; {
		var result struct {
			Status       string `json:"status"`
			SuccessCount int    `json:"success_count"`
		}
		status, data, err := n.push(t, peer, objects...)
		if err == nil && status == http.StatusAccepted && json.Unmarshal(data, &result) == nil &&
			result.Status == "complete" && result.SuccessCount == count {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("pushing from %d: %d %.200s %v", from, status, data, err)
			return
		}
		wait(t, 50*time.Millisecond)
	}
}

// delivered waits until the nation has that many messages, each once, in the
// order of their serials without a gap.
func delivered(t *testing.T, n *nation, count int) {
	t.Helper()
	eventually(t, "all messages arrive", func() bool {
		in, err := n.messages(t, "in")
		return err == nil && len(in) >= count
	})
	in, err := n.messages(t, "in")
	if err != nil || len(in) != count {
		t.Fatalf("%d messages, %v; want %d", len(in), err, count)
	}
	serials := map[int64]bool{}
	for _, m := range in {
		serials[m.Serial] = true
	}
	for serial := range int64(count) {
		if !serials[serial+1] {
			t.Errorf("serial %d is missing", serial+1)
		}
	}
}

// collected waits until a collection has that many objects, each once.
func collected(t *testing.T, n *nation, alias string, count int) {
	t.Helper()
	var got map[string]int
	var err error
	defer func() {
		if t.Failed() {
			r, failed := n.report(t)
			t.Logf("%s has %d objects of %d, %v; it reports %+v, %v", n.name, len(got), count, err, r.Imports, failed)
		}
	}()
	eventually(t, "all objects arrive", func() bool {
		got, err = n.collection(t, alias)
		return err == nil && len(got) >= count
	})
	for times := range maps.Values(got) {
		if times != 1 || len(got) != count {
			t.Fatalf("%d objects, one of them %d times; want %d", len(got), times, count)
		}
	}
}

// health asks the port of health, and returns status and body.
func (n *nation) health(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := plain.Do(get(t, "http://"+n.cfg.Listen.Health+path))
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

var severalRefusals = regexp.MustCompile(`(?m)^certlink_relay_store_refusals_total ([3-9]|[1-9][0-9]+)$`)

func TestARelayWaitsForADatabaseThatIsAwayAtItsStart(t *testing.T) {
	alfa := newNation(t, "alfa")
	alfa.onPostgres(t)
	server := testpostgres.Shared(t)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Start(); err != nil {
			t.Error(err)
		}
	})
	alfa.write(t)
	alfa.launch(t)
	eventually(t, "the relay says that it waits", func() bool {
		code, text := alfa.health(t, "/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(text, "waiting for the database since ")
	})
	if code, text := alfa.health(t, "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d %s", code, text)
	}
	eventually(t, "it has tried again", func() bool {
		_, text := alfa.health(t, "/metrics")
		return strings.Contains(text, "\ncertlink_relay_store_open 0\n") && severalRefusals.MatchString(text)
	})
	if strings.Contains(alfa.log.String(), "open-sesame") {
		t.Error("the log has the password")
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the relay is ready", func() bool {
		code, _ := alfa.health(t, "/readyz")
		return code == http.StatusOK
	})
	if took, err := alfa.stop(t); err != nil {
		t.Errorf("it ends with %v after %v", err, took)
	}
}
