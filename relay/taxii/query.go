// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// scope is what a query is about; it decides which filters there are.
type scope int

const (
	ofObjects scope = iota
	ofManifest
	ofObject
	ofVersions
	ofDeletion
)

// filters are the filters of each endpoint (TAXII 2.1 sections 5.3 to 5.8).
var filters = map[scope][]string{
	ofObjects:  {"added_after", "limit", "next", "match[id]", "match[type]", "match[version]", "match[spec_version]"},
	ofManifest: {"added_after", "limit", "next", "match[id]", "match[type]", "match[version]", "match[spec_version]"},
	ofObject:   {"added_after", "limit", "next", "match[version]", "match[spec_version]"},
	ofVersions: {"added_after", "limit", "next", "match[spec_version]"},
	ofDeletion: {"match[version]", "match[spec_version]"},
}

// parseQuery reads the filters of a request (TAXII 2.1 section 3.4). A filter
// that the endpoint does not know is an error: to ignore it would answer another
// question than was asked. Without match[version] it selects the last version,
// without match[spec_version] the newest spec version of each object.
func parseQuery(values url.Values, s scope, collection string, ids []string) (store.Query, error) {
	q := store.Query{Limit: DefaultLimit, IDs: ids, NoContent: s == ofManifest || s == ofVersions}
	q.Versions.Last = s != ofVersions
	for name, given := range values {
		if len(given) != 1 {
			return store.Query{}, badParameter(brief(name), "%q stands there more than once: use a list with commas", brief(name))
		}
		if !slices.Contains(filters[s], name) {
			return store.Query{}, badParameter(brief(name), "this resource has no parameter %q", brief(name))
		}
		if err := parseFilter(&q, name, given[0]); err != nil {
			return store.Query{}, err
		}
	}
	q.NewestSpec = len(q.Specs) == 0
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

// parseFilter reads one filter; "next" is read when the rest of the query is known.
func parseFilter(q *store.Query, name, value string) (err error) {
	switch name {
	case "added_after":
		q.AddedAfter, err = parseAddedAfter(value)
	case "limit":
		q.Limit, err = parseLimit(value)
	case "match[id]":
		q.IDs, err = parseList(name, value, func(id string) bool { _, ok := stix.SplitID(id); return ok })
	case "match[type]":
		q.Types, err = parseList(name, value, stix.ValidType)
	case "match[spec_version]":
		q.Specs, err = parseList(name, value, specVersion.MatchString)
	case "match[version]":
		q.Versions, err = parseVersions(name, value)
	}
	return err
}

// specVersion is a version of STIX, one that we do not know, too.
var specVersion = regexp.MustCompile(`^[0-9]{1,3}\.[0-9]{1,3}$`)

// parseVersions reads a list of "first", "last" and times, or "all", which stands
// alone. None of them stands there twice (TAXII 2.1 section 3.4.1).
func parseVersions(name, value string) (store.Versions, error) {
	list, err := parseList(name, value, func(one string) bool {
		_, err := parseTime(one)
		return err == nil || one == "first" || one == "last" || one == "all"
	})
	if err != nil {
		return store.Versions{}, err
	}
	if len(list) < 1+strings.Count(value, ",") {
		return store.Versions{}, badParameter(name, "%q has one value twice", name)
	}
	if slices.Contains(list, "all") {
		if len(list) > 1 {
			return store.Versions{}, badParameter(name, "\"all\" stands alone in %q", name)
		}
		return store.Versions{}, nil
	}
	v := store.Versions{First: slices.Contains(list, "first"), Last: slices.Contains(list, "last")}
	for _, one := range list {
		if at, err := parseTime(one); err == nil {
			v.At = append(v.At, at)
		}
	}
	slices.SortFunc(v.At, time.Time.Compare)
	v.At = slices.CompactFunc(v.At, time.Time.Equal)
	return v, nil
}

// parseTime reads a time with any number of digits; those below the microsecond
// are cut.
func parseTime(value string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, value)
	if err == nil && t.Year() < 1 {
		err = errors.New("before the year 1")
	}
	return t.UTC().Truncate(time.Microsecond), err
}

func parseAddedAfter(value string) (time.Time, error) {
	t, err := parseTime(value)
	if err != nil {
		return time.Time{}, badParameter("added_after", "%q is no time of the form %s", brief(value), "2006-01-02T15:04:05.000000Z")
	}
	return t, nil
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
