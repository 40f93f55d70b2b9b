// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedfeed

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/api/v1alpha1"
	relayreport "github.com/certlink/certlink/relay/report"
)

func TestDeliveriesOfAnImportShowInDeliveringAndInStatus(t *testing.T) {
	number := func(n int64) *int64 { return &n }
	for name, c := range map[string]struct {
		deliveries []relayreport.Delivery
		want       string
		message    string
		status     []v1alpha1.DeliveryStatus
	}{
		"none": {nil, "True/Pulled", "pulled and served", nil},
		"all is well": {
			[]relayreport.Delivery{{Import: "threats", Name: "siem", Delivered: 1234, Waiting: 7}}, "True/Pulled", "",
			[]v1alpha1.DeliveryStatus{{Name: "siem", Delivered: number(1000), Waiting: number(5), Dead: number(0)}},
		},
		"one fails, another has dead letters": {
			[]relayreport.Delivery{
				{Import: "threats", Name: "dead", Dead: 3},
				{Import: "threats", Name: "siem", Error: "POST siem.alfa.example: the server answers 503 Service Unavailable", Failing: noon},
			}, "False/DeliveryFailing", `delivery "siem" does not succeed: POST siem.alfa.example`,
			[]v1alpha1.DeliveryStatus{
				{Name: "dead", Delivered: number(0), Waiting: number(0), Dead: number(3)},
				{Name: "siem", Delivered: number(0), Waiting: number(0), Dead: number(0), Message: "POST siem.alfa.example: the server answers 503 Service Unavailable"},
			},
		},
		"dead letters": {
			[]relayreport.Delivery{{Import: "threats", Name: "siem", Dead: 3, Delivered: 5}}, "False/DeadLetters", "kubectl certlink feed dead threats siem",
			[]v1alpha1.DeliveryStatus{{Name: "siem", Delivered: number(5), Waiting: number(0), Dead: number(3)}},
		},
		"those of another import": {[]relayreport.Delivery{{Import: "other", Name: "siem", Error: "x"}}, "True/Pulled", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := feed(v1alpha1.FeedImport)
			r := &relayreport.Report{
				Imports: []relayreport.Import{{Name: "threats", Stored: 1, LastSuccess: noon.Truncate(time.Minute)}}, Deliveries: c.deliveries,
			}
			conditions, messages, _ := run(t, f, world(r))
			if conditions[v1alpha1.ConditionDelivering] != c.want || !strings.Contains(messages, c.message) {
				t.Errorf("Delivering is %s: %s", conditions[v1alpha1.ConditionDelivering], messages)
			}
			if diff := cmp.Diff(c.status, f.Status.Deliveries); diff != "" {
				t.Error(diff)
			}
		})
	}
}
