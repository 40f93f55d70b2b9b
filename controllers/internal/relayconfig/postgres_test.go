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

func TestARelayReadsTheConnectionURIWhereThePodHasIt(t *testing.T) {
	local := &v1alpha1.LocalCERT{}
	local.Spec.Identity.TrustDomain = "alfa.example"
	local.Spec.Relay.Storage.Postgres = &v1alpha1.PostgresStorage{
		SecretRef: v1alpha1.SecretReference{Name: "alfa-db-app"}, MaxConnections: new(int32(8)),
	}
	local.Spec.Territory.WarningLists = []v1alpha1.WarningList{{
		Name: "cdn", Origin: v1alpha1.DatasetOrigin{HTTP: &v1alpha1.RemoteEndpoint{URL: "https://lists.alfa.example/cdn"}},
	}}
	got := relayconfig.Assemble(relayconfig.Input{Local: local})
	want := config.Store{Postgres: &config.Postgres{URLFile: "/etc/certlink/postgres/uri", MaxConnections: 8}}
	if diff := cmp.Diff(want, got.Store); diff != "" {
		t.Error(diff)
	}
	if got.Territory.Directory != "/var/lib/certlink/territory" {
		t.Errorf("what is fetched is kept in %q", got.Territory.Directory)
	}
	got.SetDefaults()
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}
