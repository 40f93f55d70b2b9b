// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/relay/config"
)

func TestTerritoryNamesDataSetsWhereThePodHasThem(t *testing.T) {
	hours := int32(12)
	got := relayconfig.Territory(v1alpha1.TerritorySpec{
		Datasets: []v1alpha1.TerritoryDataset{
			{Name: "rir", Format: v1alpha1.RIRDelegation, Origin: v1alpha1.DatasetOrigin{
				HTTP: &v1alpha1.RemoteEndpoint{URL: "https://data.alfa.example/delegated", SecretRef: &v1alpha1.SecretReference{Name: "data"}}, RefreshHours: &hours,
			}},
			{Name: "own", Format: v1alpha1.MaxMindASN, Origin: v1alpha1.DatasetOrigin{
				ConfigMapRef: &v1alpha1.ConfigMapReference{Name: "asn", Key: "asn.mmdb"}, RefreshHours: &hours,
			}},
		},
		WarningLists: []v1alpha1.WarningList{{Name: "content", Origin: v1alpha1.DatasetOrigin{ConfigMapRef: &v1alpha1.ConfigMapReference{Name: "lists"}}}},
	})
	want := config.Territory{
		Datasets: []config.Dataset{
			{Name: "rir", Format: "RIRDelegation", RefreshHours: 12, Remote: &config.Remote{URL: "https://data.alfa.example/delegated", Directory: "/etc/certlink/secrets/data"}},
			{Name: "own", Format: "MaxMindASN", File: "/etc/certlink/configmaps/asn/asn.mmdb"},
		},
		WarningLists: []config.Dataset{{Name: "content", Format: "MISPWarningList", File: "/etc/certlink/configmaps/lists/"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAPeersTerritoryIsItsCountryUnlessOthersAreNamed(t *testing.T) {
	alfa := v1alpha1.Identity{Country: "XA"}
	for name, c := range map[string]struct {
		spec v1alpha1.PeerCERTSpec
		want config.PeerTerritory
	}{
		"nothing is known": {v1alpha1.PeerCERTSpec{}, config.PeerTerritory{}},
		"its country":      {v1alpha1.PeerCERTSpec{Identity: alfa}, config.PeerTerritory{Countries: []string{"XA"}}},
		"others": {
			v1alpha1.PeerCERTSpec{Identity: alfa, Territory: v1alpha1.PeerTerritory{Countries: []string{"XC", "XB"}}},
			config.PeerTerritory{Countries: []string{"XB", "XC"}},
		},
		"lists beside its country": {
			v1alpha1.PeerCERTSpec{Identity: alfa, Territory: v1alpha1.PeerTerritory{
				Networks: []string{"192.0.2.0/24"}, AutonomousSystems: []int64{64501, 64500}, Domains: []string{"gov.example"},
			}},
			config.PeerTerritory{Countries: []string{"XA"}, Networks: []string{"192.0.2.0/24"}, AutonomousSystems: []int64{64500, 64501}, Domains: []string{"gov.example"}},
		},
	} {
		if diff := cmp.Diff(c.want, relayconfig.PeerTerritory(c.spec)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
