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

// Pulls says how far the import, or the fetched sources of the export, with a name
// have come; of all feeds if it is empty.
func (c *Client) Pulls(ctx context.Context, feed string) ([]desk.Pull, error) {
	var result desk.Pulls
	if err := c.call(ctx, http.MethodGet, address(desk.PathPulls, url.Values{"feed": {feed}}), nil, &result); err != nil {
		return nil, fmt.Errorf("asking how far pulls have come: %w", err)
	}
	return result.Pulls, nil
}
