// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/certlink/certlink/api/v1alpha1"
)

// Kind of what a resource refers to.
type Kind string

// The kinds.
const (
	Secret    Kind = "Secret"
	ConfigMap Kind = "ConfigMap"
)

// Object is a Secret or a ConfigMap of the namespace.
type Object struct {
	Kind Kind
	Name string
}

// Reference is a field that names a Secret or a ConfigMap.
type Reference struct {
	Object
	// Field for people, for example "spec.export.sources[attack].pull.stix.secretRef".
	Field string
	// Key that must be there; empty means that any of a ConfigMap, or of SecretKeys, does.
	// Of Secrets, only that of a database has one.
	Key string
}

// FeedReferences are the Secrets and ConfigMaps that a SharedFeed names.
func FeedReferences(f *v1alpha1.SharedFeed) []Reference {
	var refs references
	if f.Spec.Export != nil {
		for _, s := range f.Spec.Export.Sources {
			if p := s.Pull; p != nil {
				at := fmt.Sprintf("spec.export.sources[%s].pull", s.Name)
				refs.collection(at+".taxii", p.TAXII)
				refs.endpoint(at+".stix", p.STIX)
				refs.endpoint(at+".misp", p.MISP)
				refs.configMap(at+".configMapRef", p.ConfigMapRef)
			}
		}
	}
	if f.Spec.Import != nil {
		for _, d := range f.Spec.Import.Deliveries {
			at := fmt.Sprintf("spec.import.deliveries[%s]", d.Name)
			refs.collection(at+".taxii", d.TAXII)
			if d.Webhook != nil {
				refs.endpoint(at+".webhook.receiver", &d.Webhook.Receiver)
			}
		}
	}
	return refs
}

// LocalReferences are the Secrets and ConfigMaps that a LocalCERT names.
func LocalReferences(l *v1alpha1.LocalCERT) []Reference {
	var refs references
	origin := func(at string, o v1alpha1.DatasetOrigin) {
		refs.endpoint(at+".origin.http", o.HTTP)
		refs.configMap(at+".origin.configMapRef", o.ConfigMapRef)
	}
	for _, d := range l.Spec.Territory.Datasets {
		origin(fmt.Sprintf("spec.territory.datasets[%s]", d.Name), d.Origin)
	}
	for _, w := range l.Spec.Territory.WarningLists {
		origin(fmt.Sprintf("spec.territory.warningLists[%s]", w.Name), w.Origin)
	}
	return refs
}

// databaseField names the Secret of a database.
const databaseField = "spec.relay.storage.postgres.secretRef"

// DatabaseReference is the Secret of a relay's database; empty without one.
func DatabaseReference(l *v1alpha1.LocalCERT) []Reference {
	p := l.Spec.Relay.Storage.Postgres
	if p == nil {
		return nil
	}
	return []Reference{{Object: Object{Secret, p.SecretRef.Name}, Field: databaseField, Key: PostgresKey}}
}

type references []Reference

func (r *references) collection(at string, c *v1alpha1.TAXIICollection) {
	if c != nil {
		r.endpoint(at+".server", &c.Server)
	}
}

func (r *references) endpoint(at string, e *v1alpha1.RemoteEndpoint) {
	if e != nil && e.SecretRef != nil {
		*r = append(*r, Reference{Object: Object{Secret, e.SecretRef.Name}, Field: at + ".secretRef"})
	}
}

func (r *references) configMap(at string, ref *v1alpha1.ConfigMapReference) {
	if ref != nil {
		*r = append(*r, Reference{Object: Object{ConfigMap, ref.Name}, Field: at, Key: ref.Key})
	}
}

// Watched are the objects whose content is looked at: those that are mounted, and the
// Secret of the database.
func (in Input) Watched() []Object {
	out := in.Mounted()
	for _, r := range DatabaseReference(in.Local) {
		if !slices.Contains(out, r.Object) {
			out = append(out, r.Object)
		}
	}
	return out
}

// Mounted are the Secrets and ConfigMaps that the relay's pod needs, each once, sorted.
// Feeds count that cannot be part of the configuration: each change of the list
// restarts the relay. Reserved Secrets do not.
func (in Input) Mounted() []Object {
	refs := LocalReferences(in.Local)
	for i := range in.Feeds {
		refs = append(refs, FeedReferences(&in.Feeds[i])...)
	}
	for i := range in.Hotlines {
		refs = append(refs, HotlineReferences(&in.Hotlines[i])...)
	}
	var out []Object
	for _, r := range refs {
		if !r.reserved(in.Local.Name) {
			out = append(out, r.Object)
		}
	}
	slices.SortFunc(out, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return slices.Compact(out)
}

// Keys are the keys of those Secrets and ConfigMaps that exist.
type Keys map[Object][]string
