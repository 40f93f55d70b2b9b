// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig_test

import (
	"strings"
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

func TestADataSetThatTheRelayWouldRefuseKeepsNoOtherOut(t *testing.T) {
	at := func(url string) v1alpha1.DatasetOrigin {
		return v1alpha1.DatasetOrigin{HTTP: &v1alpha1.RemoteEndpoint{URL: url}}
	}
	spec := v1alpha1.TerritorySpec{
		Datasets: []v1alpha1.TerritoryDataset{
			{Name: "good", Format: v1alpha1.RIRDelegation, Origin: at("https://data.alfa.example/rir")},
			{Name: "bad", Format: v1alpha1.RIRDelegation, Origin: at("https://user:secret@data.alfa.example/rir")},
		},
		WarningLists: []v1alpha1.WarningList{{Name: "worse", Origin: at("https://")}},
	}
	got := relayconfig.Territory(spec)
	if len(got.Datasets) != 1 || got.Datasets[0].Name != "good" || len(got.WarningLists) != 0 {
		t.Errorf("got %+v", got)
	}
	fault := relayconfig.TerritoryFault(spec)
	if fault == nil || fault.Reason != v1alpha1.ReasonSpecInvalid || !strings.HasPrefix(fault.Message, "spec.territory.datasets[bad]: remote.url: ") || strings.Contains(fault.Message, "secret") {
		t.Errorf("got %+v", fault)
	}
	spec.Datasets = spec.Datasets[:1]
	if fault := relayconfig.TerritoryFault(spec); fault == nil || !strings.HasPrefix(fault.Message, "spec.territory.warningLists[worse]: ") {
		t.Errorf("got %+v", fault)
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
