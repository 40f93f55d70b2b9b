// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

// TestKillsWhileAFeedIsCollected kills both relays at random moments while a tool
// pushes objects at one and the other collects them. A push that got no answer is
// repeated. In the end the objects are the same on both sides, byte for byte.
func TestKillsWhileAFeedIsCollected(t *testing.T) {
	const pushes, each, kills = 12, 1000, 8
	alfa, bravo := pair(t)
	alfa.connected(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	pushed := make(chan struct{})
	go func() {
		defer close(pushed)
		for p := range pushes {
			alfa.pushAnyhow(t, "bravo", p*each, each)
		}
	}()
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range kills {
		wait(t, time.Duration(random.IntN(400))*time.Millisecond)
		victim := []*nation{alfa, bravo}[random.IntN(2)]
		victim.kill(t)
		t.Logf("kill %d: %s", i+1, victim.name)
		wait(t, time.Duration(random.IntN(150))*time.Millisecond)
		victim.start(t)
	}
	<-pushed
	want := map[string]int{}
	for i := range pushes * each {
		want[object(i)]++
	}
	var got map[string]int
	var err error
	eventually(t, "all objects arrive", func() bool {
		got, err = bravo.collection(t, "from-alfa")
		return err == nil && len(got) == len(want)
	})
	if err != nil || !maps.Equal(want, got) {
		t.Errorf("bravo has %d objects that are not the %d pushed, %v", len(got), len(want), err)
	}
}

// pushAnyhow pushes objects until the relay says that they are stored.
func (n *nation) pushAnyhow(t *testing.T, peer string, from, count int) {
	t.Helper()
	var objects []string
	for i := range count {
		objects = append(objects, object(from+i))
	}
	for deadline := time.Now().Add(time.Minute); ; {
		status, data, err := n.push(t, peer, objects...)
		switch {
		case err == nil && status == http.StatusAccepted:
			return
		case time.Now().After(deadline):
			t.Errorf("pushing from %d: %d %s %v", from, status, data, err)
			return
		}
		wait(t, 20*time.Millisecond)
	}
}

// collection reads a collection of the local port to its end, and counts its
// objects by their bytes.
func (n *nation) collection(t *testing.T, alias string) (map[string]int, error) {
	t.Helper()
	objects, next := map[string]int{}, ""
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		status, data, err := n.call(ctx, t, http.MethodGet, "/taxii2/local/collections/"+alias+"/objects/?limit=5000"+next, "", nil)
		cancel()
		if err != nil {
			return nil, err
		}
		if status != http.StatusOK {
			return nil, fmt.Errorf("reading %s: status %d: %s", alias, status, data)
		}
		var page struct {
			More    bool              `json:"more"`
			Next    string            `json:"next"`
			Objects []json.RawMessage `json:"objects"`
		}
		if err := json.Unmarshal(data, &page); err != nil {
			return nil, err
		}
		for _, o := range page.Objects {
			objects[string(o)]++
		}
		if !page.More {
			return objects, nil
		}
		next = "&next=" + page.Next
	}
}
