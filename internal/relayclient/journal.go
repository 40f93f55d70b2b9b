// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/certlink/certlink/relay/desk"
)

// JournalHead says how far our journal of a hotline, given by its name, has come.
func (c *Client) JournalHead(ctx context.Context, hotline string) (desk.Journal, error) {
	var head desk.Journal
	if err := c.call(ctx, http.MethodGet, address("/journal/"+url.PathEscape(hotline), nil), nil, &head); err != nil {
		return desk.Journal{}, fmt.Errorf("reading the journal of %q: %w", hotline, err)
	}
	return head, nil
}

// VerifyJournal makes the relay verify our journal of a hotline.
func (c *Client) VerifyJournal(ctx context.Context, hotline string) (desk.JournalCheck, error) {
	var check desk.JournalCheck
	if err := c.call(ctx, http.MethodPost, address("/journal/"+url.PathEscape(hotline)+"/verify", nil), nil, &check); err != nil {
		return desk.JournalCheck{}, fmt.Errorf("verifying the journal of %q: %w", hotline, err)
	}
	return check, nil
}

// Prove returns what proves a message of a direction, or the receipt for it, to anybody.
func (c *Client) Prove(ctx context.Context, direction, peer, id string, receipt bool) (desk.MessageProof, error) {
	path := desk.PathMessages + "/" + direction + "/" + url.PathEscape(peer) + "/" + url.PathEscape(id) + "/proof"
	if receipt {
		path = strings.TrimSuffix(path, "proof") + "receipt-proof"
	}
	var proof desk.MessageProof
	if err := c.call(ctx, http.MethodGet, address(path, nil), nil, &proof); err != nil {
		return desk.MessageProof{}, fmt.Errorf("proving message %s: %w", id, err)
	}
	return proof, nil
}

// JournalDoubts lists what speaks against the peer's journal of a hotline.
func (c *Client) JournalDoubts(ctx context.Context, hotline string) (desk.DoubtList, error) {
	var list desk.DoubtList
	if err := c.call(ctx, http.MethodGet, address(journalPath(desk.PathDoubts, hotline), nil), nil, &list); err != nil {
		return desk.DoubtList{}, fmt.Errorf("reading doubts about the peer of %q: %w", hotline, err)
	}
	return list, nil
}

// SettleDoubts ends what is open of that.
func (c *Client) SettleDoubts(ctx context.Context, hotline string, req desk.SettleDoubtsRequest) (desk.DoubtList, error) {
	var list desk.DoubtList
	if err := c.call(ctx, http.MethodPost, address(journalPath(desk.PathSettle, hotline), nil), req, &list); err != nil {
		return desk.DoubtList{}, fmt.Errorf("settling doubts about the peer of %q: %w", hotline, err)
	}
	return list, nil
}

func journalPath(pattern, hotline string) string {
	return strings.Replace(pattern, "{hotline}", url.PathEscape(hotline), 1)
}
