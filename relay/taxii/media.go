// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// The media types.
const (
	// MediaType is what this package sends and asks for.
	MediaType = version
	// MediaTypeSTIX is that of the objects.
	MediaTypeSTIX = "application/stix+json;version=2.1"

	version  = bareType + ";version=2.1"
	bareType = "application/taxii+json"
)

// accepts tells whether a request asks for what we can answer (TAXII 2.1
// section 1.6.8.1). Without a version it asks for the latest, which is ours.
func accepts(h http.Header) bool {
	for _, line := range h.Values("Accept") {
		for one := range strings.SplitSeq(line, ",") {
			if acceptable(one) {
				return true
			}
		}
	}
	return false
}

func acceptable(one string) bool {
	typ, params, err := mime.ParseMediaType(one)
	if err != nil {
		return false
	}
	if q, ok := params["q"]; ok {
		if weight, err := strconv.ParseFloat(q, 64); err != nil || weight <= 0 {
			return false
		}
	}
	switch typ {
	case "*/*", "application/*":
		return true
	case bareType:
		v, ok := params["version"]
		return !ok || v == "2.1"
	}
	return false
}

// carriesTAXII tells whether a body is declared as TAXII 2.1.
func carriesTAXII(contentType string) bool {
	typ, params, err := mime.ParseMediaType(contentType)
	if err != nil || typ != bareType {
		return false
	}
	v, ok := params["version"]
	return !ok || v == "2.1"
}
