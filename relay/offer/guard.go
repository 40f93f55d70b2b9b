// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import "net/http"

// Guard lets clients of peers send nothing while there is no version of the link
// protocol in common: their requests fail with a *VersionError. It is for every
// class but that of offers and heartbeats.
func (e *Engine) Guard(client func(trustDomain string) *http.Client) func(trustDomain string) *http.Client {
	return func(trustDomain string) *http.Client {
		guarded := *client(trustDomain)
		next := guarded.Transport
		if next == nil {
			next = http.DefaultTransport
		}
		guarded.Transport = transport(func(r *http.Request) (*http.Response, error) {
			if err := e.Allowed(trustDomain); err != nil {
				if r.Body != nil {
					_ = r.Body.Close() // as a RoundTripper must
				}
				return nil, err
			}
			return next.RoundTrip(r)
		})
		return &guarded
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }
