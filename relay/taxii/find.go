// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Location is a collection and where it is.
type Location struct {
	Collection
	// Objects is the path of its objects, with a slash at the end.
	Objects string
}

// path is that of the collection itself.
func (l Location) path() string { return strings.TrimSuffix(l.Objects, "objects/") }

// root is the path of the API root that has the collection.
func (l Location) root() string {
	root, _, _ := strings.Cut(l.Objects, "collections/"+url.PathEscape(l.ID)+"/")
	return root
}

// Find looks for a collection in all API roots: by id, else by alias, else by
// title. ErrNoCollection if there is none.
func (c *Client) Find(ctx context.Context, name string) (Location, error) {
	roots, err := c.roots(ctx)
	if err != nil {
		return Location{}, err
	}
	var refused error
	best, found := Location{}, unlike
	for _, root := range roots {
		path, err := c.ownPath(root)
		if err != nil {
			refused = err
			continue
		}
		var list Collections
		if err := c.small(ctx, path+"collections/", &list); err != nil {
			// The other roots are looked into all the same.
			refused = fmt.Errorf("reading collections: %w", err)
			continue
		}
		for _, col := range list.Collections {
			if how := col.is(name); how > found && col.ID != "" {
				best, found = Location{Collection: col, Objects: path + "collections/" + url.PathEscape(col.ID) + "/objects/"}, how
			}
		}
	}
	switch {
	case found > unlike:
		return best, nil
	case refused != nil:
		return Location{}, refused
	}
	return Location{}, ErrNoCollection
}

// likeness is how a name means a collection, the surest last.
type likeness int

const (
	unlike likeness = iota
	byTitle
	byAlias
	byID
)

func (c Collection) is(name string) likeness {
	switch {
	case name == "":
		return unlike
	case c.ID == name:
		return byID
	case c.Alias == name:
		return byAlias
	case c.Title == name:
		return byTitle
	}
	return unlike
}

// roots are the API roots that the discovery names, or the one that the Client was
// made for.
func (c *Client) roots(ctx context.Context) ([]string, error) {
	var d struct {
		Discovery
		Versions []string `json:"versions"`
	}
	err := c.small(ctx, c.start, &d)
	isRoot := err == nil && len(d.APIRoots) == 0 && (len(d.Versions) > 0 || c.start != "/taxii2/")
	// Some servers have collections below an API root, and nothing at the root itself.
	if isRoot || isStatus(err, http.StatusNotFound) && c.start != "/taxii2/" {
		return []string{c.start}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading discovery: %w", err)
	}
	return d.APIRoots[:min(len(d.APIRoots), maxRoots)], nil
}

// ownPath is the path of an API root on the server that we are connected with;
// the URL may be relative (TAXII 2.1 section 4.1.1).
func (c *Client) ownPath(root string) (string, error) {
	u, err := c.server.Parse(root)
	if err != nil {
		return "", fmt.Errorf("%w: API root %q is no URL", ErrNotTAXII, brief(root))
	}
	if !strings.EqualFold(u.Host, c.server.Host) || u.Scheme != c.server.Scheme && !plainBehindTLS(u, c.server) {
		return "", fmt.Errorf("%w: API root %q is on another server, and is not followed", ErrNotTAXII, brief(root))
	}
	return strings.TrimSuffix(u.EscapedPath(), "/") + "/", nil
}

// plainBehindTLS: servers behind a proxy that ends TLS call themselves http. Only the
// path of a root counts, the request goes over TLS all the same.
func plainBehindTLS(root, server *url.URL) bool {
	return root.Scheme == "http" && server.Scheme == "https"
}
