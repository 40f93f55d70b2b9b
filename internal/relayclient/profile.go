// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/certlink/certlink/relay/desk"
)

// maxProfile is the largest profile that is read.
const maxProfile = 64 << 20

// Profile copies a profile of the relay's process, in the format of pprof, to w. Seconds
// count for the kind cpu only.
func (c *Client) Profile(ctx context.Context, kind string, seconds int, w io.Writer) error {
	query := url.Values{}
	if kind == "cpu" {
		query.Set("seconds", strconv.Itoa(seconds))
	}
	path := strings.ReplaceAll(desk.PathProfile, "{kind}", url.PathEscape(kind))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address(path, query), http.NoBody)
	if err != nil {
		return fmt.Errorf("composing the request: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking the relay: %w", bare(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	if _, err := io.Copy(w, io.LimitReader(resp.Body, maxProfile)); err != nil {
		return fmt.Errorf("reading the profile: %w", err)
	}
	return nil
}
