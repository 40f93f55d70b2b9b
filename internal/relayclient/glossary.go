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

// Glossary returns the glossary of a hotline, given by its name.
func (c *Client) Glossary(ctx context.Context, hotline string) (desk.Glossary, error) {
	var g desk.Glossary
	if err := c.call(ctx, http.MethodGet, address("/hotline/glossary/"+url.PathEscape(hotline), nil), nil, &g); err != nil {
		return desk.Glossary{}, fmt.Errorf("reading the glossary of %q: %w", hotline, err)
	}
	return g, nil
}
