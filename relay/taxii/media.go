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

	version         = bareType + ";version=2.1"
	bareType        = "application/taxii+json"
	mediaTypeSTIX20 = "application/stix+json;version=2.0"
)

// MediaTypes are those of the objects that a collection can hold (TAXII 2.1 section
// 5.2.1): what a manifest says of a record is one of them.
func MediaTypes() []string { return []string{MediaTypeSTIX, mediaTypeSTIX20} }

// accepts tells whether a request asks for what we can answer (TAXII 2.1 sections
// 1.6.8 and 3.1). Without a version it asks for the latest, which is ours. Of several
// media ranges that match, the most specific counts (RFC 7231 section 5.3.2).
func accepts(h http.Header) bool {
	best, wanted := 0, false
	for _, line := range h.Values("Accept") {
		for one := range strings.SplitSeq(line, ",") {
			how, want := acceptable(one)
			if how > best {
				best, wanted = how, want
			} else if how == best {
				wanted = wanted || want
			}
		}
	}
	return best > 0 && wanted
}

// acceptable tells how specifically a media range means our type, 0 for not at all,
// and whether it is wanted.
func acceptable(one string) (specific int, wanted bool) {
	typ, params, err := mime.ParseMediaType(one)
	if err != nil {
		return 0, false
	}
	wanted = true
	if q, ok := params["q"]; ok {
		weight, err := strconv.ParseFloat(q, 64)
		if err != nil || weight < 0 || weight > 1 {
			return 0, false
		}
		wanted = weight > 0
	}
	v, hasVersion := params["version"]
	switch {
	case typ == "*/*":
		return 1, wanted
	case typ == "application/*":
		return 2, wanted
	case typ == bareType && !hasVersion:
		return 3, wanted
	case typ == bareType && v == "2.1":
		return 4, wanted
	}
	return 0, false
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
