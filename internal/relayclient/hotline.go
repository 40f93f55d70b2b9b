// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/relay/desk"
)

// The directions of a message.
const (
	In  = "in"
	Out = "out"
)

const (
	sendAttempts = 4
	sendPause    = 200 * time.Millisecond
)

// Send hands a message to the relay. When it returns nil, the message is on the
// relay's stable storage. A message without an ID receives one here, so that a
// request whose answer was lost is repeated without a second message.
func (c *Client) Send(ctx context.Context, request desk.SendRequest) (desk.Message, error) {
	if request.ID == "" {
		request.ID = ulid.Make().String()
	}
	var message desk.Message
	var err error
	for attempt := range sendAttempts {
		if attempt > 0 {
			if err := pause(ctx, sendPause<<attempt); err != nil {
				return desk.Message{}, fmt.Errorf("sending message %s: it is not known whether the relay stored it: %w", request.ID, err)
			}
		}
		err = c.call(ctx, http.MethodPost, address(desk.PathMessages, nil), request, &message)
		if err == nil {
			return message, nil
		}
		if !repeatable(err) {
			break
		}
	}
	return desk.Message{}, fmt.Errorf("sending message %s: %w", request.ID, err)
}

// repeatable: the relay gave no answer, or asks for another try.
func repeatable(err error) bool {
	if answer, ok := errors.AsType[*Error](err); ok {
		return answer.Status == http.StatusServiceUnavailable
	}
	return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Selection of messages; empty fields select all.
type Selection struct {
	// Direction is In or Out.
	Direction string
	// Peer is the trust domain of the other side, or our name for it.
	Peer string
	// ID, Conversation and Kind of the messages. A conversation needs a peer.
	ID, Conversation, Kind string
	// Unread selects received messages that nobody here has acknowledged.
	Unread bool
	// Before continues a list: MessageList.Next of the page before.
	Before int64
	// Limit is the largest number of messages of the page; zero leaves it to the relay.
	Limit int
}

// List returns a page of messages, newest first.
func (c *Client) List(ctx context.Context, s Selection) (desk.MessageList, error) {
	query := url.Values{}
	for key, value := range map[string]string{
		"direction": s.Direction, "peer": s.Peer, "id": s.ID, "conversation": s.Conversation, "kind": s.Kind,
	} {
		if value != "" {
			query.Set(key, value)
		}
	}
	if s.Unread {
		query.Set("unread", "true")
	}
	if s.Before != 0 {
		query.Set("before", strconv.FormatInt(s.Before, 10))
	}
	if s.Limit != 0 {
		query.Set("limit", strconv.Itoa(s.Limit))
	}
	var list desk.MessageList
	if err := c.call(ctx, http.MethodGet, address(desk.PathMessages, query), nil, &list); err != nil {
		return desk.MessageList{}, fmt.Errorf("listing messages: %w", err)
	}
	return list, nil
}

// Get returns one message with its signed forms.
func (c *Client) Get(ctx context.Context, direction, peer, id string) (desk.Message, error) {
	path := desk.PathMessages + "/" + url.PathEscape(direction) + "/" + url.PathEscape(peer) + "/" + url.PathEscape(id)
	var message desk.Message
	if err := c.call(ctx, http.MethodGet, address(path, nil), nil, &message); err != nil {
		return desk.Message{}, fmt.Errorf("reading message %s: %w", id, err)
	}
	return message, nil
}

// Acknowledge says that a duty officer read a received message. It returns the
// acknowledgement, which is a message of ours.
func (c *Client) Acknowledge(ctx context.Context, peer, id string, request desk.AckRequest) (desk.Message, error) {
	path := desk.PathMessages + "/in/" + url.PathEscape(peer) + "/" + url.PathEscape(id) + "/acknowledgement"
	var message desk.Message
	if err := c.call(ctx, http.MethodPost, address(path, nil), request, &message); err != nil {
		return desk.Message{}, fmt.Errorf("acknowledging message %s: %w", id, err)
	}
	return message, nil
}

// ErrNotFound: no message has this id.
var ErrNotFound = errors.New("no message has this id")

// Find looks a message up by its id alone, the newest first; direction may be
// empty for both. It returns it with its signed forms.
func (c *Client) Find(ctx context.Context, direction, id string) (desk.Message, error) {
	selection := Selection{Direction: direction, ID: id, Limit: 200}
	for {
		page, err := c.List(ctx, selection)
		if err != nil {
			return desk.Message{}, err
		}
		for _, m := range page.Messages {
			if m.ID == id {
				return c.Get(ctx, m.Direction, m.Peer, m.ID)
			}
		}
		if page.Next == 0 || page.Next == selection.Before {
			return desk.Message{}, fmt.Errorf("looking for message %q: %w", id, ErrNotFound)
		}
		selection.Before = page.Next
	}
}
