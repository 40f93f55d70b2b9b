// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keeperAt returns a keeper whose clock the test moves.
func keeperAt(t *testing.T, now *time.Time) *Keeper {
	t.Helper()
	k, err := NewKeeper(Config{Log: slog.New(slog.DiscardHandler), Clock: func() time.Time { return *now }, Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Apply(config.Territory{}) })
	return k
}

// put writes a file as the kubelet does: another one takes its name.
func put(t *testing.T, path string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func rirFile(path string) config.Dataset {
	return config.Dataset{Name: "rir", Format: config.RIRDelegation, File: path}
}

// countryOf is what the registries say of an address now.
func countryOf(k *Keeper, address string) string {
	for _, v := range k.Current().LookAt(address, time.Time{}).Statement().Values {
		if v.RIR != nil {
			return v.RIR.CC
		}
	}
	return ""
}

func TestAFileIsReadBeforeApplyReturnsAndAgainWhenItChanges(t *testing.T) {
	now := june
	k := keeperAt(t, &now)
	path := filepath.Join(t.TempDir(), "rir")
	put(t, path, fixtures(t)["delegated-20260101"])
	var told []string
	k.OnChange(func(a *Atlas) { told = append(told, a.Digest()) })
	k.Apply(config.Territory{Datasets: []config.Dataset{rirFile(path)}})
	if got := countryOf(k, "203.0.113.1"); got != "XC" {
		t.Fatalf("got %q", got)
	}
	k.look(t.Context())
	put(t, path, fixtures(t)["delegated-20260601"])
	k.look(t.Context())
	if got := countryOf(k, "203.0.113.1"); got != "XA" {
		t.Errorf("after the change: %q", got)
	}
	if got := k.Current().LookAt("203.0.113.1", january.AddDate(0, 0, 1)).Statement().Values[0].RIR.CC; got != "XC" {
		t.Errorf("an observation of January is judged by the file of January: %q", got)
	}
	if len(told) != 2 || told[0] == told[1] {
		t.Errorf("listeners heard %v", told)
	}
}

func TestABadFileLeavesTheLastGoodOneAndIsReported(t *testing.T) {
	now := june
	k := keeperAt(t, &now)
	path := filepath.Join(t.TempDir(), "rir")
	good := fixtures(t)["delegated-20260101"]
	put(t, path, good)
	k.Apply(config.Territory{Datasets: []config.Dataset{rirFile(path)}})
	before := k.Current()
	for name, bad := range map[string][]byte{
		"cut":   good[:len(good)-80],
		"empty": nil,
		"other": []byte("<html>"),
	} {
		put(t, path, bad)
		k.look(t.Context())
		if k.Current() != before || k.State()[0].Error == "" {
			t.Errorf("%s: atlas changed %v, state %+v", name, k.Current() != before, k.State())
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	k.look(t.Context())
	put(t, path, good)
	k.look(t.Context())
	want := []report.Dataset{{Name: "rir", Format: "RIRDelegation", Date: january, Entries: k.State()[0].Entries, Snapshots: 1}}
	if diff := cmp.Diff(want, k.State()); diff != "" {
		t.Error(diff)
	}
}

// publisher serves one file, and counts.
type publisher struct {
	*httptest.Server
	file  atomic.Pointer[[]byte]
	asked atomic.Int64
}

func newPublisher(t *testing.T, file []byte) *publisher {
	t.Helper()
	p := &publisher{}
	p.file.Store(&file)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		raw := *p.file.Load()
		tag := fmt.Sprintf(`"%x"`, sha256.Sum256(raw))
		if len(raw) == 0 {
			http.Error(w, "gone", http.StatusGone)
			return
		}
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(raw)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) set(raw []byte) { p.file.Store(&raw) }

func TestWhatIsFetchedIsKeptAndServesAfterAStart(t *testing.T) {
	now := june.Add(time.Hour)
	p := newPublisher(t, fixtures(t)["delegated-20260101"])
	conf := config.Territory{
		Directory: filepath.Join(t.TempDir(), "territory"),
		Datasets:  []config.Dataset{{Name: "rir", Format: config.RIRDelegation, Remote: &config.Remote{URL: p.URL + "/delegated"}, RefreshHours: 24}},
	}
	k := keeperAt(t, &now)
	k.Apply(conf)
	if !k.Current().empty() {
		t.Error("there is data before anything was fetched")
	}
	k.look(t.Context())
	k.look(t.Context())
	if got := countryOf(k, "203.0.113.1"); got != "XC" || p.asked.Load() != 1 {
		t.Fatalf("got %q after %d requests", got, p.asked.Load())
	}
	// Another file a day later; both are kept.
	now = now.Add(25 * time.Hour)
	p.set(fixtures(t)["delegated-20260601"])
	k.look(t.Context())
	files, err := filepath.Glob(filepath.Join(conf.Directory, "*"))
	if err != nil || len(files) != 2 {
		t.Errorf("kept %v, %v", files, err)
	}
	// A new process has both and asks nobody.
	for _, f := range files {
		if err := os.Chtimes(f, now, now); err != nil {
			t.Fatal(err)
		}
	}
	asked := p.asked.Load()
	again := keeperAt(t, &now)
	again.Apply(conf)
	again.look(t.Context())
	if again.Current().Digest() != k.Current().Digest() || p.asked.Load() != asked {
		t.Errorf("digest %s and %s, %d requests more", again.Current().Digest(), k.Current().Digest(), p.asked.Load()-asked)
	}
	// What has not changed is found current; what fails is tried again, and grows stale.
	now = now.Add(25 * time.Hour)
	k.look(t.Context())
	if s := k.State()[0]; s.Stale || s.Error != "" || s.Snapshots != 2 {
		t.Errorf("state %+v", s)
	}
	p.set(nil)
	now = now.Add(100 * time.Hour)
	k.look(t.Context())
	if s := k.State()[0]; !s.Stale || s.Error == "" || s.Snapshots != 2 || countryOf(k, "203.0.113.1") != "XA" {
		t.Errorf("state %+v", s)
	}
	asked = p.asked.Load()
	k.look(t.Context())
	if p.asked.Load() != asked {
		t.Error("it does not wait after a failure")
	}
	now = now.Add(2 * time.Hour)
	k.look(t.Context())
	if p.asked.Load() == asked {
		t.Error("it does not try again")
	}
}

func TestAFetchedFileThatIsNoneLeavesNothingBehind(t *testing.T) {
	now := june
	p := newPublisher(t, []byte("not a data set"))
	dir := t.TempDir()
	k := keeperAt(t, &now)
	k.Apply(config.Territory{Directory: dir, Datasets: []config.Dataset{
		{Name: "places", Format: config.MaxMindCountry, Remote: &config.Remote{URL: p.URL + "/secret-path?key=value"}, RefreshHours: 24},
	}})
	k.look(t.Context())
	s := k.State()[0]
	if s.Error == "" || strings.Contains(s.Error, "secret-path") || strings.Contains(s.Error, "value") {
		t.Errorf("error %q", s.Error)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestMetricsTellTheAgeOfEachDataSet(t *testing.T) {
	now := june
	k := keeperAt(t, &now)
	path := filepath.Join(t.TempDir(), "rir")
	put(t, path, fixtures(t)["delegated-20260101"])
	k.Apply(config.Territory{Datasets: []config.Dataset{rirFile(path)}})
	want := fmt.Sprintf(`
# HELP certlink_relay_territory_dataset_date_timestamp_seconds Date of the newest snapshot of a data set, as its publisher says.
# TYPE certlink_relay_territory_dataset_date_timestamp_seconds gauge
certlink_relay_territory_dataset_date_timestamp_seconds{dataset="rir"} %g
# HELP certlink_relay_territory_dataset_failed 1 while the last reading of a data set or warning list has failed, or it is stale.
# TYPE certlink_relay_territory_dataset_failed gauge
certlink_relay_territory_dataset_failed{dataset="rir"} 0
`, float64(january.Unix()))
	if err := testutil.CollectAndCompare(collector{k}, strings.NewReader(want),
		"certlink_relay_territory_dataset_date_timestamp_seconds", "certlink_relay_territory_dataset_failed"); err != nil {
		t.Error(err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	k, err := NewKeeper(Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	k.Apply(config.Territory{})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
