// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	relayreport "github.com/certlink/certlink/relay/report"
)

func TestTerritoryCurrent(t *testing.T) {
	named := v1alpha1.TerritorySpec{
		Datasets: []v1alpha1.TerritoryDataset{
			{Name: "rir", Format: v1alpha1.RIRDelegation, Origin: v1alpha1.DatasetOrigin{HTTP: &v1alpha1.RemoteEndpoint{URL: "https://data.alfa.example/rir"}}},
			{Name: "own", Format: v1alpha1.MaxMindASN, Origin: v1alpha1.DatasetOrigin{ConfigMapRef: &v1alpha1.ConfigMapReference{Name: "asn", Key: "asn.mmdb"}}},
		},
	}
	there := lookup.Contents{Keys: relayconfig.Keys{{Kind: relayconfig.ConfigMap, Name: "asn"}: {"asn.mmdb"}}}
	good := []relayreport.Dataset{{Name: "rir", Entries: 1}, {Name: "own", Entries: 2}}
	for name, c := range map[string]struct {
		spec     v1alpha1.TerritorySpec
		contents lookup.Contents
		contact  reports.Contact
		reported []relayreport.Dataset
		status   metav1.ConditionStatus
		reason   string
		message  string
	}{
		"none is named":  {v1alpha1.TerritorySpec{}, there, reports.Lost, nil, "True", v1alpha1.ReasonNoDatasets, "names no data set"},
		"all are in use": {named, there, reports.Reached, good, "True", v1alpha1.ReasonDatasetsCurrent, "2 data sets and 0 warning lists"},
		"no server": {v1alpha1.TerritorySpec{Datasets: []v1alpha1.TerritoryDataset{
			{Name: "rir", Format: v1alpha1.RIRDelegation, Origin: v1alpha1.DatasetOrigin{HTTP: &v1alpha1.RemoteEndpoint{URL: "https:///rir"}}},
		}}, there, reports.Reached, nil, "False", v1alpha1.ReasonSpecInvalid, "spec.territory.datasets[rir]: remote.url: must"},
		"no ConfigMap":         {named, lookup.Contents{Keys: relayconfig.Keys{}}, reports.Reached, good, "False", v1alpha1.ReasonConfigMapNotFound, `no ConfigMap "asn"`},
		"no report":            {named, there, reports.Lost, nil, "Unknown", v1alpha1.ReasonRelayUnreachable, "cannot read the report"},
		"not the first report": {named, there, reports.Calling, nil, "", v1alpha1.ReasonPending, "waiting"},
		"not read yet":         {named, there, reports.Reached, good[:1], "False", v1alpha1.ReasonDatasetPending, `"own" has not been read yet`},
		"never good":           {named, there, reports.Reached, []relayreport.Dataset{{Name: "rir", Error: "is cut"}, good[1]}, "False", v1alpha1.ReasonDatasetInvalid, `"rir" cannot be used: is cut`},
		"good before":          {named, there, reports.Reached, []relayreport.Dataset{{Name: "rir", Entries: 1, Error: "is cut"}, good[1]}, "False", v1alpha1.ReasonDatasetInvalid, "an earlier one is used"},
		"stale":                {named, there, reports.Reached, []relayreport.Dataset{{Name: "rir", Entries: 1, Stale: true, Error: "answers 503"}, good[1]}, "False", v1alpha1.ReasonDatasetStale, "three refresh intervals"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			l := &v1alpha1.LocalCERT{Spec: v1alpha1.LocalCERTSpec{Territory: c.spec}}
			s := &seen{contents: c.contents, view: reports.View{Contact: c.contact, Report: &relayreport.Report{Territory: c.reported}}}
			got := territoryCurrent(l, s)
			if got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.message) {
				t.Errorf("got %+v", got)
			}
		})
	}
}
