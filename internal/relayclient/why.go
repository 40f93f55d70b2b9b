// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/certlink/certlink/relay/desk"
)

// Why says what the relay's exports decided about an object for a peer.
func (c *Client) Why(ctx context.Context, object, peer string) (desk.Why, error) {
	var result desk.Why
	query := url.Values{"object": {object}, "peer": {peer}}
	if err := c.call(ctx, http.MethodGet, address(desk.PathWhy, query), nil, &result); err != nil {
		return desk.Why{}, fmt.Errorf("asking about object %q and peer %q: %w", object, peer, err)
	}
	return result, nil
}
