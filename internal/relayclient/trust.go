// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/trust"
)

// Trust returns the whole record of trust changes, or that of one trust domain
// (subject), the oldest first. The relay has verified the chain.
func (c *Client) Trust(ctx context.Context, subject string) (trust.Page, error) {
	whole := trust.Page{Records: []trust.Record{}}
	for after := int64(0); ; {
		query := url.Values{"limit": {"1024"}}
		if subject != "" {
			query.Set("subject", subject)
		}
		if after > 0 {
			query.Set("after", strconv.FormatInt(after, 10))
		}
		var page trust.Page
		if err := c.call(ctx, http.MethodGet, address(desk.PathTrust, query), nil, &page); err != nil {
			return trust.Page{}, fmt.Errorf("reading the record of trust changes: %w", err)
		}
		whole.Records = append(whole.Records, page.Records...)
		whole.Total, whole.Last, whole.Damaged = page.Total, page.Last, page.Damaged
		if page.Next == 0 {
			return whole, nil
		}
		if page.Next <= after {
			return trust.Page{}, errors.New("reading the record of trust changes: the relay's pages do not move on")
		}
		after = page.Next
	}
}

// Report returns the relay's report as it is now.
func (c *Client) Report(ctx context.Context) (report.Report, error) {
	var now report.Report
	if err := c.call(ctx, http.MethodGet, address(report.Path, nil), nil, &now); err != nil {
		return report.Report{}, fmt.Errorf("reading the relay's report: %w", err)
	}
	return now, nil
}
