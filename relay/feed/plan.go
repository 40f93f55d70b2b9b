// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"crypto/sha256"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/redact"
	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

// plan is what a configuration asks of this package. It does not change, but for
// the policies of its exports, which the exporter sets.
type plan struct {
	peers map[string]config.Peer // by name; a revoked one is not here
	known map[string]config.Peer // by name, all
	// creators are the identities that peers are bound to, revoked ones too.
	creators creators
	exports  []*export
	// shelves are the collections of the local port, by id and by alias.
	shelves map[string]*shelf
	listed  []*shelf
	// author is the identity object that stands for us; ourselves is it.
	author    string
	ourselves []byte
}

// export is a feed that we publish.
type export struct {
	config.Export
	collection taxii.Collection
	// stored are the sources' names in the store, sources the way back.
	stored  []string
	sources map[string]string
	// policy is nil until the statements of the sources are known; until then
	// nothing is decided and nothing is shown.
	policy atomic.Pointer[rule.Policy]
	// statements are the ids of the plain statement markings that the policy knows, in order.
	statements atomic.Pointer[[]string]
	// forgotten counts the times that marking definitions were deleted from the
	// sources, learned how many of these the policy knows of.
	forgotten, learned atomic.Int64
	// definitions are the ids of marking definitions that the policy has seen, by their
	// positions, defined says up to which position of each stored source it has looked for
	// them. The exporter's goroutine alone uses them.
	definitions map[int64]string
	defined     map[string]int64
	// redaction of what leaves; nil for none.
	redaction *redact.Policy
	outlooks  outlooks
	// related says up to which position of each stored source references were read,
	// revoked up to which revocations of a view were decided before others. They only
	// spare work. The exporter's goroutine alone uses them.
	related map[string]int64
	revoked map[store.View]int64
	// swept are the views in which nothing is left of sources that the export had before.
	// The exporter's goroutine alone uses it.
	swept map[store.View]bool
	// relates tells of which stored sources there are references.
	relates map[string]bool
	// introduced are the peers to which we have introduced ourselves since the start.
	introduced map[string]bool
	// tidied is how far tidy has looked at collections of ours, by their names. The exporter's
	// goroutine alone uses it.
	tidied map[string]int64
}

// current is the policy, nil while it is not known.
func (e *export) current() *rule.Policy {
	if e.learned.Load() != e.forgotten.Load() {
		return nil
	}
	return e.policy.Load()
}

// shelf is a collection of the local port.
type shelf struct {
	taxii.Collection
	// stored is its name in the store.
	stored string
}

// newPlan makes the plan of a configuration. Exports that are as they were are
// taken over with their policies.
func newPlan(c *config.Config, before *plan) *plan {
	p := &plan{creators: creatorsOf(c.Peers), peers: map[string]config.Peer{}, known: map[string]config.Peer{}, shelves: map[string]*shelf{}}
	for _, peer := range c.Peers {
		p.known[peer.Name] = peer
		if peer.State != config.Revoked {
			p.peers[peer.Name] = peer
		}
	}
	td := c.Identity.TrustDomain
	p.author, p.ourselves = identityID(td), identityObject(td, c.Identity.DisplayName)
	for _, e := range c.Exports {
		p.exports = append(p.exports, newExport(td, e, before))
		for _, s := range e.Sources {
			about := "objects pushed here are shared as its rule allows."
			if s.Pull != nil {
				about = "fetched by this relay, and shared as its rule allows."
			}
			p.add(&shelf{stored: sourceName(e.Name, s.Name), Collection: taxii.Collection{
				ID: collectionID(td, "source", e.Name+"/"+s.Name), Alias: e.Name + "." + s.Name, Title: titleOf(e.Title, e.Name) + ": " + s.Name,
				Description: "Source of the export " + e.Name + ": " + about, CanRead: true, CanWrite: s.Pull == nil,
			}})
		}
	}
	for _, i := range c.Imports {
		p.add(&shelf{stored: importName(i.Name), Collection: taxii.Collection{
			ID: collectionID(td, "import", i.Name), Alias: i.Name, Title: titleOf(i.Title, i.Name),
			Description: "Objects collected from " + i.Peer + ".", CanRead: true,
		}})
	}
	return p
}

func newExport(trustDomain string, conf config.Export, before *plan) *export {
	e := &export{
		Export: conf, sources: map[string]string{}, definitions: map[int64]string{}, defined: map[string]int64{}, redaction: redact.New(conf.Redaction),
		related: map[string]int64{}, relates: map[string]bool{}, revoked: map[store.View]int64{}, swept: map[store.View]bool{}, introduced: map[string]bool{}, tidied: map[string]int64{},
		collection: taxii.Collection{
			ID: collectionID(trustDomain, "export", conf.Name), Alias: conf.Name, Title: titleOf(conf.Title, conf.Name),
			Description: describe(conf), CanRead: true, MediaTypes: taxii.MediaTypes(),
		},
	}
	if before != nil {
		for _, old := range before.exports {
			if old.collection.ID == e.collection.ID && reflect.DeepEqual(old.Export, conf) {
				return old
			}
		}
	}
	for _, s := range conf.Sources {
		name := sourceName(conf.Name, s.Name)
		e.stored = append(e.stored, name)
		e.sources[name] = s.Name
	}
	return e
}

// describe tells a peer what it must know of a collection before it acts on it.
func describe(conf config.Export) string {
	var told []string
	if conf.Rule.EmanatesFrom == config.FromPeer {
		told = append(told, "The objects in this collection appear to emanate from your territory, by the data sets that the notes name. This is no attribution.")
	}
	if redact.New(conf.Redaction) != nil {
		told = append(told, "Properties were left out of some objects; these say so in the extension "+redact.Extension+".")
	}
	return strings.Join(told, " ")
}

// add lists a collection. The alias of the first keeps its meaning, should two
// be alike; ids never are.
func (p *plan) add(s *shelf) {
	s.MediaTypes = taxii.MediaTypes()
	p.listed = append(p.listed, s)
	p.shelves[s.ID] = s
	if p.shelves[s.Alias] == nil {
		p.shelves[s.Alias] = s
	}
}

// forget makes every export that has the stored source learn its policy anew.
func (p *plan) forget(stored string) {
	for _, e := range p.exports {
		if slices.Contains(e.stored, stored) {
			e.forgotten.Add(1)
		}
	}
}

// readers are the peers that an export names and that are not revoked.
func (p *plan) readers(e *export) []config.Peer {
	var readers []config.Peer
	for _, name := range e.Peers {
		if peer, ok := p.peers[name]; ok {
			readers = append(readers, peer)
		}
	}
	return readers
}

// reader is the peer of a trust domain, if it is a reader of an export.
func (p *plan) reader(e *export, trustDomain string) (config.Peer, bool) {
	for _, peer := range p.readers(e) {
		if peer.TrustDomain == trustDomain {
			return peer, true
		}
	}
	return config.Peer{}, false
}

// shows tells whether a peer may read an export now.
func (p *plan) shows(e *export, trustDomain string) bool {
	for _, peer := range p.readers(e) {
		if peer.TrustDomain == trustDomain {
			return active(peer)
		}
	}
	return false
}

// active tells whether feeds may flow to and from a peer.
func active(p config.Peer) bool { return p.State == config.Active || p.State == "" }

// sourceName and importName are names of collections in the store.
func sourceName(export, source string) string { return "source/" + export + "/" + source }

func importName(name string) string { return "import/" + name }

// collectionID is the same for the same collection after every start. It says of itself
// that it is a random UUID, as TAXII wants of ids (TAXII 2.1 section 2): a hash is as good.
func collectionID(trustDomain, kind, name string) string {
	ours := uuid.NewSHA1(uuid.NameSpaceDNS, []byte(trustDomain))
	return uuid.NewHash(sha256.New(), ours, []byte(kind+"/"+name), 4).String()
}

func titleOf(title, name string) string {
	if title == "" {
		return name
	}
	return title
}
