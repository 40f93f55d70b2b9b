// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"errors"
	"slices"
	"strings"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
)

// Territory is the part of the configuration that names the data sets, but for those
// that the relay would refuse.
func Territory(t v1alpha1.TerritorySpec) config.Territory {
	var out config.Territory
	for _, d := range t.Datasets {
		if part := dataset(d.Name, string(d.Format), d.Origin); datasetFault(part) == "" {
			out.Datasets = append(out.Datasets, part)
		}
	}
	for _, w := range t.WarningLists {
		if part := dataset(w.Name, config.MISPWarningList, w.Origin); datasetFault(part) == "" {
			out.WarningLists = append(out.WarningLists, part)
		}
	}
	return out
}

// TerritoryFault says which data set or list cannot be part of the configuration; nil
// if all can. The others work all the same.
func TerritoryFault(t v1alpha1.TerritorySpec) *status.Verdict {
	for _, d := range t.Datasets {
		if fault := datasetFault(dataset(d.Name, string(d.Format), d.Origin)); fault != "" {
			return stalled(v1alpha1.ReasonSpecInvalid, "spec.territory.datasets[%s]: %s", d.Name, fault)
		}
	}
	for _, w := range t.WarningLists {
		if fault := datasetFault(dataset(w.Name, config.MISPWarningList, w.Origin)); fault != "" {
			return stalled(v1alpha1.ReasonSpecInvalid, "spec.territory.warningLists[%s]: %s", w.Name, fault)
		}
	}
	return nil
}

// datasetFault runs the relay's checks over one data set alone; "" if it passes.
func datasetFault(d config.Dataset) string {
	c := base(&v1alpha1.LocalCERT{Spec: v1alpha1.LocalCERTSpec{Identity: v1alpha1.Identity{TrustDomain: "own.invalid"}}})
	if c.Territory.Datasets = []config.Dataset{d}; d.Format == config.MISPWarningList {
		c.Territory = config.Territory{WarningLists: []config.Dataset{d}}
	}
	c.SetDefaults()
	var faults config.FaultsError
	if !errors.As(c.Validate(), &faults) {
		return ""
	}
	for _, f := range faults {
		if path, ok := strings.CutPrefix(f.Path, "territory."); ok {
			_, field, _ := strings.Cut(path, ".")
			return strings.TrimPrefix(field+": "+f.Message, ": ")
		}
	}
	return ""
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
