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

// Escalations lists what notifiers of a hotline were, or are to be, told, newest first.
func (c *Client) Escalations(ctx context.Context, hotline string, q desk.EscalationQuery) (desk.EscalationList, error) {
	v := url.Values{}
	for name, value := range map[string]string{"message": q.Message, "event": q.Event} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Before > 0 {
		v.Set("before", strconv.FormatInt(q.Before, 10))
	}
	var list desk.EscalationList
	if err := c.call(ctx, http.MethodGet, address("/escalations/"+url.PathEscape(hotline), v), nil, &list); err != nil {
		return desk.EscalationList{}, fmt.Errorf("listing escalations of %q: %w", hotline, err)
	}
	return list, nil
}

// TestNotifier makes the relay tell a notifier of a hotline a test.
func (c *Client) TestNotifier(ctx context.Context, hotline, notifier string) (desk.NotifierTest, error) {
	path := "/escalations/" + url.PathEscape(hotline) + "/notifiers/" + url.PathEscape(notifier) + "/test"
	var test desk.NotifierTest
	if err := c.call(ctx, http.MethodPost, address(path, nil), nil, &test); err != nil {
		return desk.NotifierTest{}, fmt.Errorf("testing notifier %q of %q: %w", notifier, hotline, err)
	}
	return test, nil
}
