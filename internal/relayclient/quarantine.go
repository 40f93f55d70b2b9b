// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/certlink/certlink/relay/desk"
)

// Quarantine lists what an import holds in quarantine, from q.After on.
func (c *Client) Quarantine(ctx context.Context, q desk.QuarantineQuery) (desk.Quarantine, error) {
	query := url.Values{"feed": {q.Feed}}
	if q.Object != "" {
		query.Set("object", q.Object)
	}
	if q.Settled {
		query.Set("settled", "true")
	}
	if q.After > 0 {
		query.Set("after", strconv.FormatInt(q.After, 10))
	}
	var found desk.Quarantine
	if err := c.call(ctx, http.MethodGet, address(desk.PathQuarantine, query), nil, &found); err != nil {
		return desk.Quarantine{}, fmt.Errorf("listing the quarantine of %q: %w", q.Feed, err)
	}
	return found, nil
}

// Settle accepts or drops one item of a quarantine.
func (c *Client) Settle(ctx context.Context, request desk.SettleRequest) (desk.QuarantineItem, error) {
	var item desk.QuarantineItem
	if err := c.call(ctx, http.MethodPost, address(desk.PathQuarantine, nil), request, &item); err != nil {
		return desk.QuarantineItem{}, fmt.Errorf("settling item %d of %q: %w", request.Item, request.Feed, err)
	}
	return item, nil
}
