// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

// The acts on a draft.
const (
	Release  = "release"
	Reject   = "reject"
	Withdraw = "withdraw"
)

// Drafts returns a page of drafts, newest first: those that wait, or all; hotline may be
// empty. Before is the Next of the page before.
func (c *Client) Drafts(ctx context.Context, hotline string, all bool, before int64) (desk.MessageList, error) {
	query := url.Values{"limit": {strconv.Itoa(store.MaxDrafts)}}
	if hotline != "" {
		query.Set("hotline", hotline)
	}
	if all {
		query.Set("all", "true")
	}
	if before != 0 {
		query.Set("before", strconv.FormatInt(before, 10))
	}
	var list desk.MessageList
	if err := c.call(ctx, http.MethodGet, address(desk.PathDrafts, query), nil, &list); err != nil {
		return desk.MessageList{}, fmt.Errorf("listing drafts: %w", err)
	}
	return list, nil
}

// FindDraft looks a draft up by its id alone, also one that has ended.
func (c *Client) FindDraft(ctx context.Context, id string) (desk.Message, error) {
	before := int64(0)
	for {
		page, err := c.Drafts(ctx, "", true, before)
		if err != nil {
			return desk.Message{}, err
		}
		for _, m := range page.Messages {
			if m.ID == id {
				return m, nil
			}
		}
		if page.Next == 0 || page.Next == before {
			return desk.Message{}, fmt.Errorf("looking for draft %q: %w", id, ErrNotFound)
		}
		before = page.Next
	}
}

func draftPath(peer, id string) string {
	return desk.PathDrafts + "/" + url.PathEscape(peer) + "/" + url.PathEscape(id)
}

// EditDraft puts other content in the place of a draft.
func (c *Client) EditDraft(ctx context.Context, peer, id string, r desk.SendRequest) (desk.Message, error) {
	var m desk.Message
	if err := c.call(ctx, http.MethodPut, address(draftPath(peer, id), nil), r, &m); err != nil {
		return desk.Message{}, fmt.Errorf("editing draft %s: %w", id, err)
	}
	return m, nil
}

// ActOnDraft releases, rejects or withdraws a draft. Repeating it is safe.
func (c *Client) ActOnDraft(ctx context.Context, peer, id, act string, a desk.DraftAct) (desk.Message, error) {
	var m desk.Message
	if err := c.call(ctx, http.MethodPost, address(draftPath(peer, id)+"/"+act, nil), a, &m); err != nil {
		return desk.Message{}, fmt.Errorf("draft %s, %s: %w", id, act, err)
	}
	return m, nil
}

// Acts reads what people and our relay did, from an index of the journal of a hotline on,
// about one message if it is given.
func (c *Client) Acts(ctx context.Context, hotline, message string, from int64) (desk.ActList, error) {
	query := url.Values{}
	if message != "" {
		query.Set("message", message)
	}
	if from != 0 {
		query.Set("from", strconv.FormatInt(from, 10))
	}
	var list desk.ActList
	path := strings.Replace(desk.PathActs, "{hotline}", url.PathEscape(hotline), 1)
	if err := c.call(ctx, http.MethodGet, address(path, query), nil, &list); err != nil {
		return desk.ActList{}, fmt.Errorf("reading acts of hotline %q: %w", hotline, err)
	}
	return list, nil
}
