// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
)

const taxii = "application/taxii+json;version=2.1"

// send asks the nation's relay to send a message. The id makes repeating safe.
func (n *nation) send(ctx context.Context, t *testing.T, req desk.SendRequest) (int, []byte, error) {
	t.Helper()
	body, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	return n.call(ctx, t, http.MethodPost, desk.PathMessages, "application/json", body)
}

// messages lists all messages of a direction.
func (n *nation) messages(t *testing.T, direction string) ([]desk.Message, error) {
	t.Helper()
	var all []desk.Message
	for next := int64(0); ; {
		path := desk.PathMessages + "?limit=1000&direction=" + direction
		if next > 0 {
			path += fmt.Sprintf("&before=%d", next)
		}
		status, data, err := n.call(t.Context(), t, http.MethodGet, path, "", nil)
		if err != nil {
			return nil, err
		}
		if status != http.StatusOK {
			return nil, fmt.Errorf("status %d: %s", status, data)
		}
		var page desk.MessageList
		if err := json.Unmarshal(data, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Messages...)
		if next = page.Next; next == 0 {
			return all, nil
		}
	}
}

// object is a STIX indicator of its own.
func object(i int) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","pattern":"[ipv4-addr:value = '198.51.100.1']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`, i)
}

// push adds objects to the nation's source for the peer.
func (n *nation) push(t *testing.T, peer string, objects ...string) (int, []byte, error) {
	t.Helper()
	body := `{"objects":[` + strings.Join(objects, ",") + `]}`
	return n.call(t.Context(), t, http.MethodPost, "/taxii2/local/collections/to-"+peer+".public/objects/", taxii, []byte(body))
}

// received returns the ids of the objects imported from the peer.
func (n *nation) received(t *testing.T, peer string) (map[string]int, error) {
	t.Helper()
	status, data, err := n.call(t.Context(), t, http.MethodGet, "/taxii2/local/collections/from-"+peer+"/objects/?limit=5000", "", nil)
	if err != nil {
		return nil, err
	}
	var page struct {
		Objects []struct {
			ID string `json:"id"`
		} `json:"objects"`
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("status %d: %s", status, data)
	}
	ids := map[string]int{}
	err = json.Unmarshal(data, &page)
	for _, o := range page.Objects {
		ids[o.ID]++
	}
	return ids, err
}

func TestTrafficFlowsBothWays(t *testing.T) {
	alfa, bravo := pair(t)
	alfa.connected(t)
	if status, data, err := alfa.push(t, "bravo", object(1), object(2)); err != nil || status != http.StatusAccepted {
		t.Fatalf("push: %d %s %v", status, data, err)
	}
	eventually(t, "both objects arrive", func() bool {
		ids, err := bravo.received(t, "alfa")
		return err == nil && len(ids) == 2
	})
	status, data, err := alfa.send(t.Context(), t, desk.SendRequest{Hotline: "bravo", Subject: "Test", Text: "Please confirm.", Officer: "Duty"})
	if err != nil || status != http.StatusCreated {
		t.Fatalf("send: %d %s %v", status, data, err)
	}
	var sent desk.Message
	if err := json.Unmarshal(data, &sent); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the message has its receipt", func() bool {
		out, err := alfa.messages(t, "out")
		return err == nil && len(out) == 1 && out[0].State == "Stored" && !out[0].ReceiptAt.IsZero()
	})
	ack := strings.NewReplacer("{peer}", "alfa.example", "{id}", sent.ID).Replace(desk.PathAcknowledge)
	if status, data, err := bravo.call(t.Context(), t, http.MethodPost, ack, "application/json", []byte(`{"officer":"Other"}`)); err != nil || status != http.StatusCreated {
		t.Fatalf("acknowledge: %d %s %v", status, data, err)
	}
	eventually(t, "the acknowledgement is back", func() bool {
		out, err := alfa.messages(t, "out")
		return err == nil && out[0].State == "Acknowledged" && out[0].AcknowledgedBy == "Other"
	})
}

// TestKillsWhileMessagesAreSent kills both relays at random moments while people
// send. A request that got no answer is repeated with the same id, as the command
// line does.
func TestKillsWhileMessagesAreSent(t *testing.T) {
	const messages, kills = 60, 12
	alfa, bravo := pair(t)
	alfa.connected(t)
	bravo.connected(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)

	sent := make(chan struct{})
	go func() {
		defer close(sent)
		sendAll(t, alfa, messages)
	}()
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range kills {
		wait(t, time.Duration(random.IntN(250))*time.Millisecond)
		victim := []*nation{alfa, bravo}[random.IntN(2)]
		victim.kill(t)
		t.Logf("kill %d: %s", i+1, victim.name)
		wait(t, time.Duration(random.IntN(150))*time.Millisecond)
		victim.start(t)
	}
	<-sent

	eventually(t, "every message has a verified receipt", func() bool {
		out, err := alfa.messages(t, "out")
		if err != nil || len(out) != messages {
			return false
		}
		for _, m := range out {
			if m.State != "Stored" {
				return false
			}
		}
		return true
	})
	in, err := bravo.messages(t, "in")
	if err != nil {
		t.Fatal(err)
	}
	serials, texts := map[int64]bool{}, map[string]int{}
	for _, m := range in {
		serials[m.Serial] = true
		texts[m.Text]++
	}
	for i := range messages {
		if text := fmt.Sprintf("message %d", i); texts[text] != 1 {
			t.Errorf("%q arrived %d times", text, texts[text])
		}
		if !serials[int64(i+1)] {
			t.Errorf("serial %d is missing", i+1)
		}
	}
	if len(in) != messages {
		t.Errorf("%d messages in the inbox, want %d", len(in), messages)
	}
	h := alfa.until(t, "has nothing queued", func(r report.Report) bool { return len(r.Hotlines) == 1 && r.Hotlines[0].Queued == 0 }).Hotlines[0]
	if h.Error != "" {
		t.Errorf("the hotline reports %q", h.Error)
	}
}

// sendAll sends messages from several hands at once.
func sendAll(t *testing.T, n *nation, messages int) {
	t.Helper()
	work := make(chan int)
	var hands sync.WaitGroup
	for range 4 {
		hands.Go(func() {
			for i := range work {
				req := desk.SendRequest{ID: ulid(), Hotline: "bravo", Subject: "Test", Text: fmt.Sprintf("message %d", i), Officer: "Duty"}
				for deadline := time.Now().Add(time.Minute); ; {
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
					status, data, err := n.send(ctx, t, req)
					cancel()
					if err == nil && (status == http.StatusCreated || status == http.StatusOK) {
						break
					}
					if err == nil && status < 500 || time.Now().After(deadline) {
						t.Errorf("message %d: %d %s %v", i, status, data, err)
						break
					}
					wait(t, 20*time.Millisecond)
				}
			}
		})
	}
	for i := range messages {
		work <- i
		wait(t, 15*time.Millisecond)
	}
	close(work)
	hands.Wait()
}

// ulid returns a new ULID: 48 bits of time and 80 bits of chance, in Crockford's base 32.
func ulid() string {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	id := make([]byte, 26)
	ms := uint64(time.Now().UnixMilli())
	for i := 9; i >= 0; i-- {
		id[i] = alphabet[ms&31]
		ms >>= 5
	}
	for i := 10; i < 26; i++ {
		id[i] = alphabet[rand.IntN(32)]
	}
	return string(id)
}

// wait lets real time pass between two faults: it is the fault's moment, not a
// condition, that is chosen.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
