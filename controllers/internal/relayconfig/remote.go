// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/certlink/certlink/api/v1alpha1"
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
