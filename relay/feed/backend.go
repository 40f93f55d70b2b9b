// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

// The API roots of the two ports.
const (
	LinkRoot  = "feeds"
	LocalRoot = "local"
)

// LinkHandler serves our exports to peers, TAXII 2.1 below /taxii2/. The
// request's context says who asks (access.WithPeer).
func (e *Engine) LinkHandler() http.Handler { return e.link }

// LocalHandler serves sources and imports to our own tools, TAXII 2.1 below
// /taxii2/. The request's context says who asks (access.WithRole).
func (e *Engine) LocalHandler() http.Handler { return e.local }

// linkBackend shows a peer what is shared with it.
type linkBackend struct{ *Engine }

// Caller implements taxii.Backend.
func (b linkBackend) Caller(ctx context.Context) (string, error) {
	asking, ok := access.PeerFrom(ctx)
	if !ok {
		return "", taxii.Unauthorized()
	}
	// The live configuration counts, not that of the moment when the request began.
	peer, ok := b.live.Load().peers[asking.Name]
	switch {
	case !ok || peer.TrustDomain != asking.TrustDomain:
		return "", taxii.Unauthorized()
	case !active(peer):
		return "", taxii.Forbidden("feeds to you are suspended by this side")
	}
	return peer.TrustDomain, nil
}

// visible is the one gate to an export. It finds nothing for nobody.
func (b linkBackend) visible(ctx context.Context, idOrAlias string) (*export, string, error) {
	caller, err := b.Caller(ctx)
	if err != nil {
		return nil, "", err
	}
	p := b.live.Load()
	for _, e := range p.exports {
		if (e.collection.ID == idOrAlias || e.collection.Alias == idOrAlias) && p.shows(e, caller) {
			return e, caller, nil
		}
	}
	return nil, "", taxii.NotFound()
}

// Collections implements taxii.Backend.
func (b linkBackend) Collections(ctx context.Context) ([]taxii.Collection, error) {
	caller, err := b.Caller(ctx)
	if err != nil {
		return nil, err
	}
	p := b.live.Load()
	var list []taxii.Collection
	for _, e := range p.exports {
		if p.shows(e, caller) {
			list = append(list, e.collection)
		}
	}
	return list, nil
}

// Collection implements taxii.Backend.
func (b linkBackend) Collection(ctx context.Context, idOrAlias string) (taxii.Collection, error) {
	e, _, err := b.visible(ctx, idOrAlias)
	if err != nil {
		return taxii.Collection{}, err
	}
	return e.collection, nil
}

// Objects implements taxii.Backend: the records that decisions under the present
// policy share with the caller, and no others.
func (b linkBackend) Objects(ctx context.Context, id string, q store.Query) (store.Page, error) {
	e, caller, err := b.visible(ctx, id)
	if err != nil {
		return store.Page{}, err
	}
	b.cfg.Preempt.GiveWay(ctx)
	reader, ok := b.live.Load().reader(e, caller)
	if !ok {
		return store.Page{}, taxii.NotFound() // the configuration has changed just now
	}
	o, err := e.toward(reader, b.atlas())
	if err != nil {
		return store.Page{}, err
	}
	if o == nil {
		return store.Page{}, &taxii.ProtocolError{
			Status: http.StatusServiceUnavailable, Title: "Not ready yet", Description: "the rule of this collection is being read", RetryAfter: time.Second,
		}
	}
	v := o.view(e, reader)
	// What has grown too old waits for the exporter, as after a restart, but not for readers.
	q.Now = b.cfg.Now()
	page, err := b.cfg.Store.HandOut(ctx, v, e.collections(caller), q)
	if err != nil {
		return store.Page{}, err
	}
	for i, r := range page.Records {
		if r.Form == "" || q.NoContent {
			continue
		}
		if page.Records[i].Raw, err = e.redaction.Apply(r.Raw, r.Form); err != nil {
			return store.Page{}, err
		}
	}
	return page, b.advance.asked(ctx, v, q, page)
}

// Add implements taxii.Backend: peers put nothing in.
func (b linkBackend) Add(context.Context, string, []stix.Object) ([]store.Outcome, error) {
	return nil, taxii.Forbidden("collections of this port can only be read")
}

// Delete implements taxii.Backend: peers delete nothing.
func (b linkBackend) Delete(context.Context, string, store.Query) (int, error) {
	return 0, taxii.Forbidden("collections of this port can only be read")
}

// localBackend shows our own tools everything, and takes objects in.
type localBackend struct{ *Engine }

// Caller implements taxii.Backend.
func (localBackend) Caller(ctx context.Context) (string, error) {
	switch role, _ := access.RoleFrom(ctx); role {
	case access.RoleDesk, access.RoleTool:
		return string(role), nil
	case access.RoleOperator:
		return "", taxii.Forbidden("the operator reads the report only: use a certificate of the role tool or desk")
	}
	return "", taxii.Unauthorized()
}

// Collections implements taxii.Backend.
func (b localBackend) Collections(context.Context) ([]taxii.Collection, error) {
	var list []taxii.Collection
	for _, s := range b.live.Load().listed {
		list = append(list, s.Collection)
	}
	return list, nil
}

// Collection implements taxii.Backend.
func (b localBackend) Collection(_ context.Context, idOrAlias string) (taxii.Collection, error) {
	s, ok := b.live.Load().shelves[idOrAlias]
	if !ok {
		return taxii.Collection{}, taxii.NotFound()
	}
	return s.Collection, nil
}

// Objects implements taxii.Backend.
func (b localBackend) Objects(ctx context.Context, id string, q store.Query) (store.Page, error) {
	s, ok := b.live.Load().shelves[id]
	if !ok {
		return store.Page{}, taxii.NotFound()
	}
	return b.cfg.Store.ListObjects(ctx, s.stored, q)
}

// Add implements taxii.Backend and wakes the exporter.
func (b localBackend) Add(ctx context.Context, id string, objects []stix.Object) ([]store.Outcome, error) {
	s, ok := b.live.Load().shelves[id]
	if !ok || !s.CanWrite {
		return nil, taxii.NotFound()
	}
	if len(objects) == 0 {
		return nil, nil
	}
	outcomes, err := b.cfg.Store.PutObjects(ctx, s.stored, records(objects), "")
	if err != nil {
		return nil, err
	}
	b.exporter.wake()
	return outcomes, nil
}

// Delete implements taxii.Backend. What is deleted is shown to no peer from then
// on; peers that have collected it before are asked to drop it. If a marking definition goes,
// nothing is shown until the rule is known without it.
func (b localBackend) Delete(ctx context.Context, id string, q store.Query) (int, error) {
	s, ok := b.live.Load().shelves[id]
	if !ok || !s.CanWrite {
		return 0, taxii.NotFound()
	}
	return b.deleteFrom(ctx, s.stored, q)
}

// deleteFrom deletes records of a source that q selects by their ids; see Delete.
func (e *Engine) deleteFrom(ctx context.Context, stored string, q store.Query) (int, error) {
	defer e.exporter.wake()
	if slices.ContainsFunc(q.IDs, isDefinition) {
		// Before, for those who read now, and after, for a rule that was read meanwhile.
		e.live.Load().forget(stored)
		defer func() { e.live.Load().forget(stored) }()
	}
	return e.deleteObjects(ctx, stored, q)
}

func isDefinition(id string) bool {
	typ, _ := stix.SplitID(id)
	return typ == stix.TypeMarkingDefinition
}

func records(objects []stix.Object) []store.Object {
	list := make([]store.Object, len(objects))
	for i, o := range objects {
		list[i] = record(o)
	}
	return list
}

func record(o stix.Object) store.Object {
	return store.Object{ID: o.ID, Type: o.Type, SpecVersion: o.SpecVersion, Version: o.Version, Raw: o.Raw, Revoked: o.Revoked}
}
