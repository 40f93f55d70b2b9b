// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/certlink/certlink/relay/courier"
	"github.com/certlink/certlink/relay/desk"
)

// CourierExport is a set that the relay writes. Read all of Stream, then ask for Summary.
type CourierExport struct {
	// Set, From and To name it.
	Set, From, To string
	// Stream is sealed. It must be closed.
	Stream io.ReadCloser
	resp   *http.Response
}

// Summary says what is in the set, once Stream has been read to its end.
func (e *CourierExport) Summary() (courier.Summary, error) {
	var s courier.Summary
	raw := e.resp.Trailer.Get(desk.CourierSummary)
	if raw == "" {
		return s, errors.New("the relay broke off: its log says why")
	}
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		return s, fmt.Errorf("reading the relay's summary: %w", err)
	}
	return s, nil
}

// ExportCourier begins a set for the peer of a hotline.
func (c *Client) ExportCourier(ctx context.Context, hotline string) (*CourierExport, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address("/courier/export/"+url.PathEscape(hotline), nil), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("composing the request: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the relay: %w", bare(err))
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	h := resp.Header
	return &CourierExport{
		Set: h.Get(desk.CourierSet), From: h.Get(desk.CourierFrom), To: h.Get(desk.CourierTo), Stream: resp.Body, resp: resp,
	}, nil
}

// CheckCourier verifies a set, and changes nothing.
func (c *Client) CheckCourier(ctx context.Context, from string, stream io.Reader) (courier.Summary, error) {
	return c.readCourier(ctx, desk.PathCourierCheck, from, stream)
}

// ImportCourier takes a set in that CheckCourier found good.
func (c *Client) ImportCourier(ctx context.Context, from string, stream io.Reader) (courier.Summary, error) {
	return c.readCourier(ctx, desk.PathCourierImport, from, stream)
}

func (c *Client) readCourier(ctx context.Context, path, from string, stream io.Reader) (courier.Summary, error) {
	var s courier.Summary
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address(path, url.Values{"from": {from}}), io.NopCloser(stream))
	if err != nil {
		return s, fmt.Errorf("composing the request: %w", err)
	}
	req.Header.Set("Content-Type", desk.CourierContentType)
	err = c.exchange(req, &s)
	return s, err
}
