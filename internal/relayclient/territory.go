// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/certlink/certlink/relay/desk"
)

// Territory says where a value appears to be by the relay's data sets. A zero time
// asks the newest data.
func (c *Client) Territory(ctx context.Context, value string, at time.Time, agreement int) (desk.Territory, error) {
	var result desk.Territory
	query := url.Values{"value": {value}, "agreement": {strconv.Itoa(agreement)}}
	if !at.IsZero() {
		query.Set("at", at.UTC().Format(time.RFC3339Nano))
	}
	if err := c.call(ctx, http.MethodGet, address(desk.PathTerritory, query), nil, &result); err != nil {
		return desk.Territory{}, fmt.Errorf("asking about the territory of %q: %w", value, err)
	}
	return result, nil
}

// TerritoryOf says from where a STIX object appears to emanate.
func (c *Client) TerritoryOf(ctx context.Context, object json.RawMessage, agreement int) (desk.Territory, error) {
	var result desk.Territory
	query := url.Values{"agreement": {strconv.Itoa(agreement)}}
	if err := c.call(ctx, http.MethodPost, address(desk.PathTerritory, query), object, &result); err != nil {
		return desk.Territory{}, fmt.Errorf("asking about the territory of an object: %w", err)
	}
	return result, nil
}
