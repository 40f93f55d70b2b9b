// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
)

// Where the relay's pod has the Secrets and ConfigMaps that resources name: one
// directory each, which is empty or absent while there is none.
const (
	SecretsPath    = Directory + "/secrets/"
	ConfigMapsPath = Directory + "/configmaps/"
)

// KeyHMAC of a Secret signs what a webhook delivers.
const KeyHMAC = "hmac"

// SecretKeys are the keys of Secrets that the relay's pod gets to see.
func SecretKeys() []string { return append(config.RemoteKeys(), KeyHMAC) }

// Remote is the part of the configuration that an endpoint asks for.
func Remote(e v1alpha1.RemoteEndpoint) config.Remote {
	out := config.Remote{URL: e.URL}
	if e.SecretRef != nil {
		out.Directory = SecretsPath + e.SecretRef.Name
	}
	return out
}

// TAXII is the part of the configuration that a collection of a TAXII server asks for.
func TAXII(c v1alpha1.TAXIICollection) config.TAXIISource {
	return config.TAXIISource{Remote: Remote(c.Server), Collection: c.Collection}
}

// SecretFile is where a key of a Secret is mounted.
func SecretFile(ref v1alpha1.SecretReference, key string) string {
	return SecretsPath + ref.Name + "/" + key
}

// ConfigMapFile is where a key of a ConfigMap is mounted; the directory of all keys,
// with a slash at the end, for a reference without a key.
func ConfigMapFile(ref v1alpha1.ConfigMapReference) string {
	return ConfigMapsPath + ref.Name + "/" + ref.Key
}

// pull is the part of the configuration that a source asks for which our relay fetches.
func pull(p *v1alpha1.FeedPull) *config.PulledSource {
	if p == nil {
		return nil
	}
	out := &config.PulledSource{IntervalSeconds: deref(p.IntervalSeconds), MaxObjects: deref(p.MaxObjects)}
	switch {
	case p.TAXII != nil:
		taxii := TAXII(*p.TAXII)
		out.TAXII = &taxii
	case p.STIX != nil:
		stix := Remote(*p.STIX)
		out.STIX = &stix
	case p.MISP != nil:
		misp := Remote(*p.MISP)
		out.MISP = &misp
	case p.ConfigMapRef != nil:
		out.Files = []string{ConfigMapFile(*p.ConfigMapRef)}
	}
	return out
}

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

// reservedSecrets are what a LocalCERT's own Secrets end in: certificates, and CAs.
var reservedSecrets = regexp.MustCompile(`^-(link|local|signing|operator|desk(-[a-z0-9-]+)?|canary|ca(-[0-9]+)?)$`)

// Reserved tells whether a Secret is one of those that a LocalCERT makes for itself. They
// speak for our operator, our desk or our CA: a resource that names one would have our
// relay show them to a server of its author's choice.
func Reserved(localCERT, secret string) bool {
	rest, ok := strings.CutPrefix(secret, localCERT)
	return ok && reservedSecrets.MatchString(rest)
}

func (r Reference) reserved(localCERT string) bool {
	return r.Kind == Secret && Reserved(localCERT, r.Name)
}

// ReservedFault says which reference names a reserved Secret; nil if none does.
func ReservedFault(refs []Reference, localCERT string) *status.Verdict {
	for _, r := range refs {
		if r.reserved(localCERT) {
			return stalled(v1alpha1.ReasonSpecInvalid, "%s: Secret %q belongs to LocalCERT %q alone and is not shown to the relay here; make another Secret", r.Field, r.Name, localCERT)
		}
	}
	return nil
}

// ReferenceFault says which Secret, ConfigMap or key is missing; nil if none is. The
// rest of a feed works all the same.
func ReferenceFault(refs []Reference, there Keys) *status.Verdict {
	for _, r := range refs {
		reason := v1alpha1.ReasonSecretNotFound
		if r.Kind == ConfigMap {
			reason = v1alpha1.ReasonConfigMapNotFound
		}
		keys, exists := there[r.Object]
		if !exists {
			return stalled(reason, "%s: there is no %s %q in this namespace; create it", r.Field, r.Kind, r.Name)
		}
		if fault := r.keyFault(keys); fault != "" {
			return stalled(reason, "%s: %s %q %s", r.Field, r.Kind, r.Name, fault)
		}
	}
	return nil
}

// keyFault says which key is missing, or does not fit the others; empty if none.
func (r Reference) keyFault(keys []string) string {
	has := func(key string) bool { return slices.Contains(keys, key) }
	switch {
	case r.Key != "" && !has(r.Key):
		return fmt.Sprintf("has no key %q; add it", r.Key)
	case r.Kind == ConfigMap && len(keys) == 0:
		return "has no keys; add what is to be read, an empty bundle if it is nothing"
	case r.Kind == ConfigMap, r.Key != "":
		return ""
	}
	for _, pair := range [][2]string{{"tls.crt", "tls.key"}, {"username", "password"}} {
		for i := range pair {
			if has(pair[i]) && !has(pair[1-i]) {
				return fmt.Sprintf("has the key %q without %q; add it", pair[i], pair[1-i])
			}
		}
	}
	ways := slices.DeleteFunc([]string{"username", "token", "authorization"}, func(key string) bool { return !has(key) })
	if len(ways) > 1 {
		return fmt.Sprintf("has the keys %s, of which only one can be used; take the others out", quoted(ways))
	}
	if !slices.ContainsFunc(SecretKeys(), has) {
		return fmt.Sprintf("has none of the keys %s; add those that the server asks for", quoted(SecretKeys()))
	}
	return ""
}

// RemotePorts are the ports of the servers that a configuration has the relay call.
func RemotePorts(c *config.Config) []int32 {
	var ports []int32
	for _, r := range remotes(c) {
		u, err := url.Parse(r.URL)
		if err != nil {
			continue
		}
		text := u.Port()
		switch {
		case text == "" && u.Scheme == "https":
			text = "443"
		case text == "":
			text = "80"
		}
		if n, err := strconv.ParseUint(text, 10, 16); err == nil && n > 0 {
			ports = append(ports, int32(n))
		}
	}
	_, mail := notified(c)
	for _, text := range mail {
		if n, err := strconv.ParseUint(text, 10, 16); err == nil && n > 0 {
			ports = append(ports, int32(n))
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

func remotes(c *config.Config) []config.Remote {
	var out []config.Remote
	add := func(r *config.Remote) {
		if r != nil {
			out = append(out, *r)
		}
	}
	for _, e := range c.Exports {
		for _, s := range e.Sources {
			if p := s.Pull; p != nil {
				add(p.STIX)
				add(p.MISP)
				if p.TAXII != nil {
					add(&p.TAXII.Remote)
				}
			}
		}
	}
	for _, i := range c.Imports {
		for _, d := range i.Deliveries {
			if d.TAXII != nil {
				add(&d.TAXII.Remote)
			}
			if d.Webhook != nil {
				add(&d.Webhook.Remote)
			}
		}
	}
	for _, d := range slices.Concat(c.Territory.Datasets, c.Territory.WarningLists) {
		add(d.Remote)
	}
	servers, _ := notified(c)
	return append(out, servers...)
}
