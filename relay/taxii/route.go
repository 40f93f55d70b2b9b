// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// place is the variable part of a path.
type place struct {
	// status, collection and object are as the caller wrote them; empty if the path
	// has none.
	status, collection, object string
}

// call is a request on its way to its endpoint.
type call struct {
	*http.Request
	place
	caller string
}

// action answers a call, or returns the error to answer.
type action func(w http.ResponseWriter, c *call) error

// endpoint is one resource with its methods; those that are nil it does not have.
type endpoint struct {
	name              string
	get, post, remove action
}

// methods are those of the resource. What has a GET has a HEAD (RFC 7231 section 4.3.2).
func (e endpoint) methods() map[string]action {
	all := map[string]action{http.MethodOptions: e.options}
	for method, act := range map[string]action{
		http.MethodGet: e.get, http.MethodHead: e.get, http.MethodPost: e.post, http.MethodDelete: e.remove,
	} {
		if act != nil {
			all[method] = act
		}
	}
	return all
}

// allow lists the methods, as the header Allow has them.
func (e endpoint) allow() string { return strings.Join(slices.Sorted(maps.Keys(e.methods())), ", ") }

// options says which methods there are.
func (e endpoint) options(w http.ResponseWriter, _ *call) error {
	w.Header().Set("Allow", e.allow())
	send(w, http.StatusOK, nil)
	return nil
}

// route finds the endpoint of a path. Every TAXII path ends with a slash (TAXII
// 2.1 section 3.1).
func (h *handler) route(path string) (endpoint, place) {
	rest, ok := strings.CutPrefix(path, "/taxii2/")
	if !ok || rest != "" && !strings.HasSuffix(rest, "/") {
		return endpoint{}, place{}
	}
	parts := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	switch {
	case rest == "":
		return endpoint{name: "discovery", get: h.discovery}, place{}
	case parts[0] != h.Root:
		return endpoint{}, place{}
	case len(parts) == 1:
		return endpoint{name: "root", get: h.apiRoot}, place{}
	case len(parts) == 3 && parts[1] == "status":
		return endpoint{name: "status", get: h.status}, place{status: parts[2]}
	case parts[1] != "collections":
		return endpoint{}, place{}
	case len(parts) == 2:
		return endpoint{name: "collections", get: h.collections}, place{}
	case len(parts) == 3:
		return endpoint{name: "collection", get: h.collection}, place{collection: parts[2]}
	}
	return h.inCollection(parts[2], parts[3:])
}

// inCollection finds the endpoint of what follows a collection in a path.
func (h *handler) inCollection(collection string, parts []string) (endpoint, place) {
	at := place{collection: collection}
	switch {
	case len(parts) == 1 && parts[0] == "manifest":
		return endpoint{name: "manifest", get: h.manifest}, at
	case len(parts) == 1 && parts[0] == "markings" && h.marked() != nil:
		return endpoint{name: "markings", get: h.markings}, at
	case parts[0] != "objects":
		return endpoint{}, place{}
	case len(parts) == 1:
		return endpoint{name: "objects", get: h.objects, post: h.add}, at
	}
	at.object = parts[1]
	switch {
	case len(parts) == 2:
		return endpoint{name: "object", get: h.object, remove: h.remove}, at
	case len(parts) == 3 && parts[2] == "versions":
		return endpoint{name: "versions", get: h.versions}, at
	}
	return endpoint{}, place{}
}
