// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
)

// Where the relay's pod has its files.
const (
	Directory = "/etc/certlink"
	File      = "relay.yaml"
	TLSPath   = Directory + "/tls/"
	StorePath = "/var/lib/certlink"
	storeFile = StorePath + "/relay.db"
	// PostgresPath has the Secret of a database: PostgresKey its key with the connection URI,
	// PostgresCAKey that of the server's CA, which it may lack.
	PostgresPath  = Directory + "/postgres"
	PostgresKey   = "uri"
	PostgresCAKey = "ca.crt"
	LinkPort      = 8443
	LocalPort     = 9443
	HealthPort    = 8080
)

// Input is everything in a namespace that makes up a relay's configuration.
type Input struct {
	Local    *v1alpha1.LocalCERT
	Peers    []v1alpha1.PeerCERT
	Bundles  map[string]Bundle // by name of the PeerCERT
	Feeds    []v1alpha1.SharedFeed
	Hotlines []v1alpha1.Hotline
	Services []v1alpha1.SharedService
	// Targets are the Services that exports name, by name, as far as they exist.
	Targets map[string]*corev1.Service
	// OwnBundle holds the CA certificates in PEM by which peers are to know us; while
	// a root replaces another, both. Empty leaves it to the files of the certificates.
	OwnBundle string
}

// Assemble makes the configuration of the relay out of all resources that can
// be part of it.
func Assemble(in Input) *config.Config {
	c := base(in.Local)
	c.Identity.Bundle = in.OwnBundle
	peers := in.peers(c)
	usable := func(name string) bool { return peers[name] }
	for i := range in.Feeds {
		f := &in.Feeds[i]
		if fault := FeedFault(f, usable, usable); bars(f, fault) {
			continue
		}
		if f.Spec.Direction == v1alpha1.FeedImport {
			c.Imports = append(c.Imports, Import(f))
		} else {
			c.Exports = append(c.Exports, Export(f, usable))
		}
	}
	byPeer := map[v1alpha1.PeerReference][]v1alpha1.Hotline{}
	for _, h := range in.Hotlines {
		byPeer[h.Spec.PeerRef] = append(byPeer[h.Spec.PeerRef], h)
	}
	for i := range in.Hotlines {
		h := &in.Hotlines[i]
		if HotlineFault(h, byPeer[h.Spec.PeerRef], usable, usable) == nil {
			c.Hotlines = append(c.Hotlines, WithTransit(Hotline(h), usable))
		}
	}
	in.services(c, usable)
	slices.SortFunc(c.Exports, func(a, b config.Export) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Imports, func(a, b config.Import) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Hotlines, func(a, b config.Hotline) int { return cmp.Compare(a.Name, b.Name) })
	return c
}

// peers adds the usable peers to the configuration and returns their names.
func (in Input) peers(c *config.Config) map[string]bool {
	byDomain := map[string][]v1alpha1.PeerCERT{}
	for _, p := range in.Peers {
		byDomain[p.Spec.Identity.TrustDomain] = append(byDomain[p.Spec.Identity.TrustDomain], p)
	}
	names := map[string]bool{}
	for i := range in.Peers {
		p := &in.Peers[i]
		bundle := in.Bundles[p.Name].inForce()
		if PeerFault(p, in.Local, bundle, byDomain[p.Spec.Identity.TrustDomain]) == nil {
			c.Peers = append(c.Peers, Peer(p, bundle.PEM))
			names[p.Name] = true
		}
	}
	slices.SortFunc(c.Peers, func(a, b config.Peer) int { return cmp.Compare(a.Name, b.Name) })
	return names
}

// bars tells whether a fault keeps a feed out altogether. An export goes on with
// the peers that it has: what its sources were given must not be turned away.
func bars(f *v1alpha1.SharedFeed, fault *status.Verdict) bool {
	if fault == nil {
		return false
	}
	return f.Spec.Direction == v1alpha1.FeedImport || fault.Reason == v1alpha1.ReasonSpecInvalid
}

// base is the configuration of a relay without any peer.
func base(local *v1alpha1.LocalCERT) *config.Config {
	pair := func(name string) config.KeyPair {
		dir := TLSPath + name + "/"
		return config.KeyPair{CertFile: dir + "tls.crt", KeyFile: dir + "tls.key", CAFile: dir + "ca.crt"}
	}
	return &config.Config{
		APIVersion: config.APIVersion,
		Kind:       config.Kind,
		Identity: config.Identity{
			TrustDomain: local.Spec.Identity.TrustDomain,
			DisplayName: local.Spec.Identity.DisplayName,
			Link:        pair("link"),
			Local:       pair("local"),
			Signing:     pair("signing"),
		},
		Store:     storage(local.Spec.Relay.Storage),
		Territory: territory(local.Spec),
		Desk:      Desk(local.Spec.Desk),
	}
}

// storage is the volume, or a database of which the relay reads the connection URI.
func storage(s v1alpha1.RelayStorage) config.Store {
	if s.Postgres == nil {
		return config.Store{SQLite: config.SQLite{Path: storeFile}}
	}
	return config.Store{Postgres: &config.Postgres{URLFile: PostgresPath + "/" + PostgresKey, MaxConnections: deref(s.Postgres.MaxConnections)}}
}

// territory of the relay. Beside a database it keeps what it fetched in its own directory,
// which a new pod fetches again.
func territory(spec v1alpha1.LocalCERTSpec) config.Territory {
	t := Territory(spec.Territory)
	if spec.Relay.Storage.Postgres != nil && len(t.Datasets)+len(t.WarningLists) > 0 {
		t.Directory = StorePath + "/territory"
	}
	return t
}

// copyOf a configuration, that shares nothing with it.
func copyOf(c config.Config) (config.Config, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return config.Config{}, fmt.Errorf("copying a part of the configuration: %w", err)
	}
	var out config.Config
	if err := json.Unmarshal(data, &out); err != nil {
		return config.Config{}, fmt.Errorf("copying a part of the configuration: %w", err)
	}
	return out, nil
}

// check runs the relay's checks over a part of a configuration and returns the
// faults that lie in that part alone: references to peers are judged elsewhere.
func check(part config.Config) []string {
	c := *base(&v1alpha1.LocalCERT{Spec: v1alpha1.LocalCERTSpec{Identity: v1alpha1.Identity{TrustDomain: "own.invalid"}}})
	// Defaults are filled into a copy: the part is what is written, and is compared with later.
	copied, err := copyOf(part)
	if err != nil {
		return []string{err.Error()}
	}
	c.Peers, c.Exports, c.Imports = copied.Peers, copied.Exports, copied.Imports
	c.Hotlines, c.ServiceExports, c.ServiceImports = copied.Hotlines, copied.ServiceExports, copied.ServiceImports
	c.SetDefaults()
	var faults config.FaultsError
	if !errors.As(c.Validate(), &faults) {
		return nil
	}
	var out []string
	for _, f := range faults {
		if !strings.HasSuffix(f.Path, "].peer") {
			out = append(out, f.String())
		}
	}
	return out
}
