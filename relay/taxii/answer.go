// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// userAgent names this software to servers (TAXII 2.1 section 3.2).
var userAgent = func() string {
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		return "certlink/" + info.Main.Version
	}
	return "certlink"
}()

// maxErrorBytes is what is read of an error's body.
const maxErrorBytes = 64 << 10

// checkAnswer makes an error of every answer that is not a success with TAXII in it.
func checkAnswer(resp *http.Response, body io.Reader) error {
	contentType := resp.Header.Get("Content-Type")
	switch resp.StatusCode {
	case http.StatusNoContent:
		return nil
	// 206 is what drafts of TAXII 2 had for a page that is not the last.
	case http.StatusOK, http.StatusAccepted, http.StatusPartialContent:
		if !readable(contentType) {
			return fmt.Errorf("%w: its content type is %q", ErrNotTAXII, brief(contentType))
		}
		return nil
	}
	e := &ProtocolError{Title: http.StatusText(resp.StatusCode)}
	if readable(contentType) {
		e.told(io.LimitReader(body, maxErrorBytes))
	}
	e.Status = resp.StatusCode
	e.RetryAfter = retryAfter(resp, time.Now())
	return e
}

// told takes over what a server says of its error, if it is an error object.
func (e *ProtocolError) told(body io.Reader) {
	var told struct {
		Title       string `json:"title"`
		Description string `json:"description"`
	}
	text, err := io.ReadAll(body)
	if err == nil && json.Unmarshal(text, &told) == nil && told.Title != "" {
		e.Title, e.Description = brief(told.Title), brief(told.Description)
	}
}

// readable tells whether a body can be TAXII 2.1 by what the server calls it. Servers
// say application/json, or nothing, or leave the version out; another version of TAXII
// is another protocol.
func readable(contentType string) bool {
	typ, params, err := mime.ParseMediaType(contentType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return contentType == ""
	}
	if v, ok := params["version"]; ok && v != "2.1" {
		return false
	}
	return slices.Contains([]string{bareType, "application/json", "application/stix+json"}, typ)
}

// isStatus tells whether a server answered with the status.
func isStatus(err error, status int) bool {
	var told *ProtocolError
	return errors.As(err, &told) && told.Status == status
}

// overTheSlash follows a redirect that only adds or takes away the slash at the end
// of the path, once. Any other could lead to a place that this connection does not
// authenticate.
func overTheSlash(to *http.Request, via []*http.Request) error {
	from := via[len(via)-1].URL
	if len(via) > 1 || to.URL.Scheme != from.Scheme || to.URL.Host != from.Host || to.URL.RawQuery != from.RawQuery ||
		strings.TrimSuffix(to.URL.EscapedPath(), "/") != strings.TrimSuffix(from.EscapedPath(), "/") {
		return http.ErrUseLastResponse
	}
	return nil
}
