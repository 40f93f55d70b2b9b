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
)

// deadPath is that of one delivery.
func deadPath(feed, delivery string) string {
	return strings.NewReplacer("{feed}", url.PathEscape(feed), "{delivery}", url.PathEscape(delivery)).Replace(desk.PathDead)
}

// DeadLetters lists what a delivery could not hand on, behind the position after.
func (c *Client) DeadLetters(ctx context.Context, feed, delivery string, after int64) (desk.DeadLetters, error) {
	query := url.Values{}
	if after > 0 {
		query.Set("after", strconv.FormatInt(after, 10))
	}
	var found desk.DeadLetters
	if err := c.call(ctx, http.MethodGet, address(deadPath(feed, delivery), query), nil, &found); err != nil {
		return desk.DeadLetters{}, fmt.Errorf("listing the dead letters of %q: %w", feed+"/"+delivery, err)
	}
	return found, nil
}

// Redeliver has the dead letters of a delivery tried again.
func (c *Client) Redeliver(ctx context.Context, feed, delivery string) (desk.Redelivery, error) {
	var said desk.Redelivery
	if err := c.call(ctx, http.MethodPost, address(deadPath(feed, delivery), nil), struct{}{}, &said); err != nil {
		return desk.Redelivery{}, fmt.Errorf("delivering the dead letters of %q again: %w", feed+"/"+delivery, err)
	}
	return said, nil
}
