// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"slices"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/config"
)

// Territory is the part of the configuration that names the data sets.
func Territory(t v1alpha1.TerritorySpec) config.Territory {
	var out config.Territory
	for _, d := range t.Datasets {
		out.Datasets = append(out.Datasets, dataset(d.Name, string(d.Format), d.Origin))
	}
	for _, w := range t.WarningLists {
		out.WarningLists = append(out.WarningLists, dataset(w.Name, config.MISPWarningList, w.Origin))
	}
	return out
}

func dataset(name, format string, from v1alpha1.DatasetOrigin) config.Dataset {
	d := config.Dataset{Name: name, Format: format}
	switch {
	case from.HTTP != nil:
		remote := Remote(*from.HTTP)
		d.Remote, d.RefreshHours = &remote, deref(from.RefreshHours)
	case from.ConfigMapRef != nil:
		d.File = ConfigMapFile(*from.ConfigMapRef)
	}
	return d
}

// PeerTerritory is what counts as a peer's own: its country, unless others are named.
func PeerTerritory(spec v1alpha1.PeerCERTSpec) config.PeerTerritory {
	t := config.PeerTerritory{
		Countries:         slices.Sorted(slices.Values(spec.Territory.Countries)),
		Networks:          slices.Sorted(slices.Values(spec.Territory.Networks)),
		AutonomousSystems: slices.Sorted(slices.Values(spec.Territory.AutonomousSystems)),
		Domains:           slices.Sorted(slices.Values(spec.Territory.Domains)),
	}
	if len(t.Countries) == 0 && spec.Identity.Country != "" {
		t.Countries = []string{spec.Identity.Country}
	}
	return t
}
