// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// parseQuery reads the filters of a GET of objects (TAXII 2.1 section 3.4). A
// filter that it does not know is an error: to ignore it would answer another
// question than was asked.
func parseQuery(values url.Values, collection string) (store.Query, error) {
	q := store.Query{Limit: DefaultLimit}
	for name, given := range values {
		if len(given) != 1 {
			return store.Query{}, badParameter(brief(name), "%q stands there more than once: use a list with commas", brief(name))
		}
		var err error
		switch value := given[0]; name {
		case "added_after":
			q.AddedAfter, err = parseAddedAfter(value)
		case "limit":
			q.Limit, err = parseLimit(value)
		case "next":
			// It is read below, when the rest of the query is known.
		case "match[id]":
			q.IDs, err = parseList(name, value, func(id string) bool { _, ok := stix.SplitID(id); return ok })
		case "match[type]":
			q.Types, err = parseList(name, value, stix.ValidType)
		case "match[version]":
			if value != "all" {
				err = badParameter(name, "this server lists all versions: match[version]=all is the only value that it supports yet")
			}
		default:
			err = badParameter(brief(name), "this server does not support the parameter %q", brief(name))
		}
		if err != nil {
			return store.Query{}, err
		}
	}
	if !values.Has("next") {
		return q, nil
	}
	position, ok := decodeCursor(values.Get("next"), collection, q)
	if !ok {
		return store.Query{}, badParameter("next", "the value of next is not of this collection and query: repeat the query unchanged, or begin again without next")
	}
	q.After = position
	return q, nil
}

func parseAddedAfter(value string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil || t.Year() < 1 {
		return time.Time{}, badParameter("added_after", "%q is no time of the form %s", brief(value), "2006-01-02T15:04:05.000000Z")
	}
	return t.UTC().Truncate(time.Microsecond), nil
}

// parseLimit reads a positive number; one that is too large is the largest.
func parseLimit(value string) (int, error) {
	digits := strings.TrimLeft(value, "0")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, badParameter("limit", "%q is no positive number", brief(value))
	}
	n := 0
	for _, d := range digits {
		if n = n*10 + int(d-'0'); n >= MaxLimit {
			return MaxLimit, nil
		}
	}
	return n, nil
}

// parseList reads a list with commas, any of which may match.
func parseList(name, value string, valid func(string) bool) ([]string, error) {
	list := strings.Split(value, ",")
	if len(list) > store.MaxSelectors {
		return nil, badParameter(name, "%q lists more than %d values", name, store.MaxSelectors)
	}
	for _, one := range list {
		if !valid(one) {
			return nil, badParameter(name, "%q is no valid value of %q", brief(one), name)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}
