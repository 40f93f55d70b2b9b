// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package campaign

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

const (
	// hands send at once on each side, each in conversations of its own.
	hands = 8
	// talks of each hand.
	talks = 5
	// askAgain is the pause before a request is repeated that was not confirmed.
	askAgain = 50 * time.Millisecond
	// requestTime bounds one request.
	requestTime = 10 * time.Second
)

var precedences = []string{"ROUTINE", "ROUTINE", "ROUTINE", "PRIORITY", "IMMEDIATE", "FLASH"}

// sent is a message that a relay has confirmed.
type sent struct {
	talk string
	// place in its conversation.
	place  int
	serial int64
	sum    [sha256.Size]byte
}

// traffic is what all hands have sent.
type traffic struct {
	// mayBegin holds a word for each message that may be sent now.
	mayBegin chan struct{}

	mu        sync.Mutex // guards what follows
	cond      *sync.Cond
	confirmed [2]map[string]sent // by side and id
	count     int
	repeated  int
	err       error
}

func newTraffic(messages int) *traffic {
	t := &traffic{mayBegin: make(chan struct{}, messages), confirmed: [2]map[string]sent{{}, {}}}
	t.cond = sync.NewCond(&t.mu)
	return t
}

// allow lets so many more messages be sent.
func (t *traffic) allow(messages int) {
	for range messages {
		t.mayBegin <- struct{}{}
	}
}

// reached waits until so many messages are confirmed.
func (t *traffic) reached(ctx context.Context, count int) error {
	stop := context.AfterFunc(ctx, t.cond.Broadcast)
	defer stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.count < count && t.err == nil && ctx.Err() == nil {
		t.cond.Wait()
	}
	return errors.Join(t.err, ctx.Err())
}

func (t *traffic) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
	t.cond.Broadcast()
}

// run sends from all hands of both sides until nothing more will be allowed.
func (t *traffic) run(ctx context.Context, w *world, seed uint64) error {
	var working sync.WaitGroup
	defer working.Wait()
	for i, s := range w.sides {
		for h := range hands {
			client, err := s.Client()
			if err != nil {
				return err
			}
			working.Go(func() {
				defer client.Close()
				random := rand.New(rand.NewPCG(seed, uint64(1+i*hands+h))) //nolint:gosec // small
				if err := t.hand(ctx, client, i, w.sides[1-i].Name, random); err != nil && ctx.Err() == nil {
					t.fail(fmt.Errorf("sending from %s: %w", s.Name, err))
				}
			})
		}
	}
	return nil
}

// hand sends one message after the other.
func (t *traffic) hand(ctx context.Context, client *relayclient.Client, side int, hotline string, random *rand.Rand) error {
	var names [talks]string
	for i := range names {
		names[i] = ulid.Make().String()
	}
	var places [talks]int
	for {
		select {
		case _, more := <-t.mayBegin:
			if !more {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
		i := random.IntN(talks)
		request := desk.SendRequest{
			ID: ulid.Make().String(), Hotline: hotline, Conversation: names[i], Officer: "Campaign",
			Precedence: precedences[random.IntN(len(precedences))], Subject: fmt.Sprintf("%d", places[i]), Text: text(random),
		}
		m, err := t.confirm(ctx, client, request)
		if err != nil {
			return err
		}
		t.note(side, m.ID, sent{talk: names[i], place: places[i], serial: m.Serial, sum: sumOf(request.Subject, request.Text)})
		places[i]++
	}
}

// confirm repeats a request until the relay confirms it.
func (t *traffic) confirm(ctx context.Context, client *relayclient.Client, r desk.SendRequest) (desk.Message, error) {
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, requestTime)
		m, err := client.Send(attempt, r)
		cancel()
		if err == nil {
			return m, nil
		}
		// No room, not now and no answer pass; any other refusal is a wrong answer.
		if answer, ok := errors.AsType[*relayclient.Error](err); ok && answer.Status < 500 && answer.Status != http.StatusTooManyRequests {
			return desk.Message{}, err
		}
		t.mu.Lock()
		t.repeated++
		t.mu.Unlock()
		pause(ctx, askAgain)
	}
	return desk.Message{}, ctx.Err()
}

func (t *traffic) note(side int, id string, s sent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.confirmed[side][id] = s
	t.count++
	t.cond.Broadcast()
}

// text is mostly short, at times long, and of characters of one to four bytes.
func text(random *rand.Rand) string {
	const letters = "abcdefghijklmnopqrstuvwxyz ÄéßЖ中🔥\"\\<&\n"
	size := 1 + random.IntN(900)
	switch draw := random.IntN(1000); {
	case draw < 5:
		size = random.IntN(15_000)
	case draw < 60:
		size = random.IntN(4_000)
	}
	alphabet, out := []rune(letters), make([]rune, size+1)
	for i := range out {
		out[i] = alphabet[random.IntN(len(alphabet))]
	}
	return "x" + string(out)
}

func sumOf(subject, text string) [sha256.Size]byte {
	return sha256.Sum256([]byte(subject + "\x00" + text))
}
