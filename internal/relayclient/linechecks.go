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

// CheckLine makes the relay check every path of a hotline, given by its name.
func (c *Client) CheckLine(ctx context.Context, hotline string) (desk.LineCheckRun, error) {
	var run desk.LineCheckRun
	if err := c.call(ctx, http.MethodPost, address("/hotline/linechecks/"+url.PathEscape(hotline), nil), nil, &run); err != nil {
		return desk.LineCheckRun{}, fmt.Errorf("checking the paths of %q: %w", hotline, err)
	}
	return run, nil
}

// Availability shows the availability record of a month, YYYY-MM; exchange makes the relay
// exchange it with the peer first.
func (c *Client) Availability(ctx context.Context, hotline, month string, exchange bool) (desk.Availability, error) {
	method := http.MethodGet
	if exchange {
		method = http.MethodPost
	}
	var record desk.Availability
	path := "/hotline/availability/" + url.PathEscape(hotline) + "/" + url.PathEscape(month)
	if err := c.call(ctx, method, address(path, nil), nil, &record); err != nil {
		return desk.Availability{}, fmt.Errorf("reading the availability of %q: %w", hotline, err)
	}
	return record, nil
}
