// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"

	"github.com/certlink/certlink/api/v1alpha1"
)

// The data set by which nations tell where an address appears to be: in the format of
// the registries, over networks for documentation (RFC 5737).
const (
	territoryConfigMap = "territory"
	territoryKey       = "delegated-example-20260530"
	delegation         = "2|example|20260530|3|20200101|20260530|+0000\n" +
		"example|*|ipv4|*|3|summary\n" +
		"example|XA|ipv4|192.0.2.0|256|20200101|allocated|alfa-1\n" +
		"example|XB|ipv4|198.51.100.0|256|20200101|allocated|bravo-1\n" +
		"example|XC|ipv4|203.0.113.0|256|20200101|allocated|charlie-1\n"
)

// AddressIn is the n-th address that the data set puts into the country of a party.
func AddressIn(p *Party, n int) string {
	network := map[string]string{"alfa": "192.0.2", "bravo": "198.51.100"}[p.Name]
	if network == "" {
		network = "203.0.113"
	}
	return fmt.Sprintf("%s.%d", network, n)
}

// PublishTerritory puts the data set into a ConfigMap.
func (p *Party) PublishTerritory(ctx context.Context) error {
	return p.Apply(ctx, &corev1.ConfigMap{ObjectMeta: p.Meta(territoryConfigMap), Data: map[string]string{territoryKey: delegation}})
}

func territory() v1alpha1.TerritorySpec {
	return v1alpha1.TerritorySpec{Datasets: []v1alpha1.TerritoryDataset{{
		Name: "delegation", Format: v1alpha1.RIRDelegation,
		Origin: v1alpha1.DatasetOrigin{ConfigMapRef: &v1alpha1.ConfigMapReference{Name: territoryConfigMap, Key: territoryKey}},
	}}}
}

// Indicator makes one indicator with a pattern, marked with a TLP level. The series
// and the number make its id.
func Indicator(series string, n int, level, pattern string) json.RawMessage {
	id := uuid.NewSHA1(namespace, fmt.Appendf(nil, "%s/%d", series, n))
	text, err := json.Marshal(pattern)
	if err != nil {
		return nil
	}
	return fmt.Appendf(nil,
		`{"type":"indicator","spec_version":"2.1","id":"indicator--%s","object_marking_refs":[%q],"created":"2026-06-01T00:00:00.000Z","modified":"2026-06-01T00:00:00.000Z","name":"%s %d","pattern":%s,"pattern_type":"stix","valid_from":"2026-06-01T00:00:00Z"}`,
		id, tlpMarkings[level], series, n, text)
}
