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

// Check lets the relay look at each address of a peer. It takes up to
// desk.MaxCheck.
func (c *Client) Check(ctx context.Context, peer string) (desk.Check, error) {
	var result desk.Check
	if err := c.call(ctx, http.MethodPost, address("/check/"+url.PathEscape(peer), nil), nil, &result); err != nil {
		return desk.Check{}, fmt.Errorf("checking peer %q: %w", peer, err)
	}
	return result, nil
}
