// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/store"
)

// TestADeadLetterOfAnObjectWithManyVersionsIsNotLost: its version is found however much
// content the versions before it have.
func TestADeadLetterOfAnObjectWithManyVersionsIsNotLost(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	var list []store.Object
	for n := range 10 {
		at := time.Date(2026, 1, 2, 3, 4, n, 0, time.UTC)
		raw := fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-02T03:04:00.000Z","modified":%q,"description":%q}`,
			objectID(1), at.Format("2006-01-02T15:04:05.000Z"), strings.Repeat("x", 1_000_000))
		list = append(list, store.Object{ID: objectID(1), Type: "indicator", SpecVersion: "2.1", Version: at, Raw: []byte(raw)})
	}
	observable := store.Object{ID: "ipv4-addr--5c0d1e2f-0000-4000-8000-000000000001", Type: "ipv4-addr", SpecVersion: "2.1", Raw: []byte(`{"type":"ipv4-addr","id":"ipv4-addr--5c0d1e2f-0000-4000-8000-000000000001","value":"192.0.2.1"}`)}
	if _, err := w.store.PutObjects(t.Context(), "import/bravo", append(list, observable), ""); err != nil {
		t.Fatal(err)
	}
	var dead []store.DeadLetter
	q, last := store.Query{Limit: store.MaxRecords, NoContent: true}, int64(0)
	page, err := w.store.ListObjects(t.Context(), "import/bravo", q)
	if err != nil || len(page.Records) != 11 {
		t.Fatalf("%d records, %v", len(page.Records), err)
	}
	for _, rec := range page.Records[9:] {
		dead, last = append(dead, deadLetter(rec, "x", time.Now())), position(rec)
	}
	if err := w.store.AdvanceDelivery(t.Context(), "import/bravo", "siem", store.Advance{To: last, Dead: dead}); err != nil {
		t.Fatal(err)
	}
	w.start(hook(r.URL))
	if n, err := w.Redeliver(t.Context(), "bravo", "siem"); err != nil || n != 2 {
		t.Fatalf("Redeliver: %d, %v", n, err)
	}
	w.until("siem", "nothing is dead", func(d store.Delivery) bool { return d.Dead == 0 && d.Queued == 0 })
	if diff := cmp.Diff([]string{objectID(1), observable.ID}, r.got()); diff != "" {
		t.Error(diff)
	}
}
