// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// columns are what kubectl get prints for one object; the cells of -o wide stand
// behind the others here.
var columns = []struct {
	object, resource string
	narrow           map[string]any
	wide             map[string]any
}{
	{
		object: "localcert", resource: "localcerts",
		narrow: map[string]any{
			"Name": "alfa", "Ready": "True", "Trust Domain": "alfa.example", "Relay": "False",
			"Address": "relay.alfa.example:8443", "Reason": "Reconciled", "Age": "5d",
		},
		wide: map[string]any{"Issuer": "alfa-ca", "Rotation": "Issue", "Expires": "2099-01-01T00:00:00Z", "Message": "message of Ready"},
	},
	{
		object: "peercert-bundle", resource: "peercerts",
		narrow: map[string]any{
			"Name": "bravo", "Ready": "True", "Connected": "False", "Redundant": "Unknown", "Since": "5d", "State": "Suspended",
			"Reason": "AddressUnreachable", "Age": "5d",
		},
		wide: map[string]any{
			"Trust": "True", "Accepted": "False", "Trust Domain": "bravo.example", "Group": "X25519MLKEM768",
			"Protocol": int64(1), "Peer Since": "5d", "Message": "message of Connected",
		},
	},
	{
		object: "sharedfeed-export", resource: "sharedfeeds",
		narrow: map[string]any{
			"Name": "advisories", "Ready": "True", "Direction": "Export", "Delivering": "True", "Fresh": "Unknown",
			"Stored": int64(12), "Shared": int64(7), "Held": int64(5), "Reason": "NotOffered", "Age": "5d",
		},
		wide: map[string]any{"Accepted": "False", "Message": "message of PeerAccepted"},
	},
	{
		object: "sharedservice-export", resource: "sharedservices",
		narrow: map[string]any{
			"Name": "misp", "Ready": "True", "Direction": "Export", "Available": "False", "Peers": "bravo",
			"Address": "misp-web.cert.svc:443", "Reason": "ConnectionFailed", "Age": "5d",
		},
		wide: map[string]any{"Accepted": "Unknown", "Message": "message of Available"},
	},
	{
		object: "hotline", resource: "hotlines",
		narrow: map[string]any{
			"Name": "bravo", "Ready": "True", "Peer": "bravo", "Reachable": "False", "Answered": "True",
			"Checked": "Unknown", "Escalating": "NotifierFailing", "Inbox": int64(3), "Drafts": int64(1), "Last Receipt": "5d", "Reason": "LinkDown", "Age": "5d",
		},
		wide: map[string]any{"Message": "message of Reachable"},
	},
}

// states are the conditions of the objects whose columns are looked at, what needs attention
// first, as the controllers write them. Each has a reason of its own, so that a column that reads
// the wrong one is seen.
var states = map[string][]metav1.Condition{
	"localcert": {{Type: "RelayAvailable", Status: "False", Reason: "RelayUnreachable"}, {Type: "Ready", Status: "True", Reason: "Reconciled"}},
	"peercert-bundle": {
		{Type: "Connected", Status: "False", Reason: "AddressUnreachable"}, {Type: "Ready", Status: "True", Reason: "Reconciled"},
		{Type: "Redundant", Status: "Unknown", Reason: "Pending"}, {Type: "PeerAccepted", Status: "False", Reason: "CardDiffers"},
		{Type: "TrustInSync", Status: "True", Reason: "InSync"},
	},
	"sharedfeed-export":    {{Type: "PeerAccepted", Status: "False", Reason: "NotOffered"}, {Type: "Ready", Status: "True", Reason: "Reconciled"}, {Type: "Fresh", Status: "Unknown", Reason: "Pending"}, {Type: "Delivering", Status: "True", Reason: "Exporting"}},
	"sharedservice-export": {{Type: "Available", Status: "False", Reason: "ConnectionFailed"}, {Type: "Ready", Status: "True", Reason: "Reconciled"}, {Type: "PeerAccepted", Status: "Unknown", Reason: "NoOffer"}},
	"hotline": {
		{Type: "Reachable", Status: "False", Reason: "LinkDown"}, {Type: "Answered", Status: "True", Reason: "AcknowledgedInTime"}, {Type: "Ready", Status: "True", Reason: "Reconciled"},
		{Type: "LineChecked", Status: "Unknown", Reason: "Pending"}, {Type: "Escalating", Status: "True", Reason: "NotifierFailing"},
	},
}

// TestColumns reads the table that the API server makes for kubectl get.
func TestColumns(t *testing.T) {
	s := start(t)
	objects := fullObjects(t)
	fiveDaysAgo := time.Now().AddDate(0, 0, -5).UTC().Format(time.RFC3339)
	for _, c := range columns {
		t.Run(c.resource, func(t *testing.T) {
			stored := objects[c.object].DeepCopy()
			stored.SetNamespace(s.Namespace)
			status := stored.Object["status"]
			if err := s.Client.Create(t.Context(), stored); err != nil {
				t.Fatal(err)
			}
			stored.Object["status"] = status
			var conditions []any
			for _, condition := range states[c.object] {
				conditions = append(conditions, map[string]any{
					"type": condition.Type, "status": string(condition.Status), "reason": condition.Reason,
					"message": "message of " + condition.Type, "lastTransitionTime": fiveDaysAgo,
				})
			}
			stored = withValue(stored, "status.conditions", conditions)
			if c.object == "localcert" {
				stored = withValue(stored, "status.notAfter", "2099-01-01T00:00:00Z")
			}
			if c.object == "peercert-bundle" {
				stored = withValue(stored, "status.peerReport.observedTime", fiveDaysAgo)
			}
			if c.object == "hotline" {
				stored = withValue(stored, "status.lastReceiptTime", fiveDaysAgo)
			}
			if err := s.Client.Status().Update(t.Context(), stored); err != nil {
				t.Fatal(err)
			}

			narrow, wide := table(t, s, c.resource)
			// The creation time is the API server's own; an age is enough.
			if age, _ := narrow["Age"].(string); !strings.HasSuffix(age, "s") {
				t.Errorf("Age is %q, want seconds", age)
			}
			narrow["Age"] = "5d"
			if diff := cmp.Diff(c.narrow, narrow); diff != "" {
				t.Errorf("columns (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.wide, wide); diff != "" {
				t.Errorf("columns of -o wide (-want +got):\n%s", diff)
			}
		})
	}
}

// table returns the cells of the only object of a resource in the namespace, by
// the names of their columns.
func table(t *testing.T, s *server, resource string) (narrow, wide map[string]any) {
	t.Helper()
	httpClient, err := rest.HTTPClientFor(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("%s/apis/certlink.dev/v1alpha1/namespaces/%s/%s", strings.TrimSuffix(s.Config.Host, "/"), s.Namespace, resource)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	response, err := httpClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("asking for the table: %s, %v\n%s", response.Status, err, body)
	}
	var got metav1.Table
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) != 1 {
		t.Fatalf("the table has %d rows, want 1", len(got.Rows))
	}
	narrow, wide = map[string]any{}, map[string]any{}
	for i, column := range got.ColumnDefinitions {
		cell := got.Rows[0].Cells[i]
		if number, ok := cell.(float64); ok {
			cell = int64(number)
		}
		if column.Priority == 0 {
			narrow[column.Name] = cell
		} else {
			wide[column.Name] = cell
		}
	}
	return narrow, wide
}
