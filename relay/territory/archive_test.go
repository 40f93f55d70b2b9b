// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
)

func TestHistoryHasAShareOfTheMemoryAlsoAfterAStart(t *testing.T) {
	a := archive{t.TempDir(), "rir"}
	conf := config.Dataset{Name: "rir", Format: config.RIRDelegation}
	var s source
	for day := range 5 {
		raw := bytes.ReplaceAll(fixtures(t)["delegated-20260101"], []byte("|20260101|"), fmt.Appendf(nil, "|2026010%d|", day+1))
		if err := a.keep(raw, january.AddDate(0, 0, day)); err != nil {
			t.Fatal(err)
		}
		c, err := load(t.Context(), conf, raw)
		if err != nil {
			t.Fatal(err)
		}
		s.install(c)
	}
	one := s.snapshots[0].bytes()
	for _, share := range []int{0, one - 1, one, 2*one + 1, 100 * one} {
		running := source{snapshots: s.snapshots}
		running.forget(share)
		started := source{conf: config.Dataset{Name: "rir", Format: config.RIRDelegation, Remote: &config.Remote{}}, archive: a}
		started.restore(june, share)
		started.forget(share)
		if want := min(1+share/one, 5); len(running.snapshots) != want || len(started.snapshots) != want {
			t.Errorf("share %d of %d: %d while running, %d after a start, want %d", share, one, len(running.snapshots), len(started.snapshots), want)
		}
		if newest := running.snapshots[len(running.snapshots)-1]; !newest.date.Equal(january.AddDate(0, 0, 4)) {
			t.Errorf("the newest is of %v", newest.date)
		}
	}
}

func TestOneOfManySnapshotsGoesSoThatTheOthersAreSpread(t *testing.T) {
	a := archive{t.TempDir(), "rir"}
	raw := fixtures(t)["delegated-20260101"]
	for day := range maxSnapshots + 10 {
		if err := a.keep(raw, january.AddDate(0, 0, day)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := a.list()
	if err != nil || len(files) != maxSnapshots {
		t.Fatalf("%d files, %v", len(files), err)
	}
	if !files[0].date.Equal(january) || !files[maxSnapshots-1].date.Equal(january.AddDate(0, 0, maxSnapshots+9)) {
		t.Errorf("kept %v to %v", files[0].date, files[maxSnapshots-1].date)
	}
	for i := 1; i < len(files); i++ {
		if gap := files[i].date.Sub(files[i-1].date); gap > 4*24*time.Hour {
			t.Errorf("a gap of %v", gap)
		}
	}
}

func TestPackedFilesAreUnpacked(t *testing.T) {
	raw := fixtures(t)["country.mmdb"]
	var archived bytes.Buffer
	w := tar.NewWriter(&archived)
	for name, body := range map[string][]byte{"db/README": []byte("text"), "db/country.mmdb": raw} {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(body)), Mode: 0o600, Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{"plain": raw, "gzip": zip(t, raw), "tar.gz": zip(t, archived.Bytes())} {
		c, err := load(context.Background(), config.Dataset{Name: "places", Format: config.MaxMindCountry}, file)
		if err != nil || c.snapshot.entries() == 0 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if _, err := unpack(zip(t, make([]byte, 1001)), 1000); !errors.Is(err, errTooLarge) {
		t.Errorf("a file that grows too large: %v", err)
	}
	if raw, err := unpack(zip(t, make([]byte, 1000)), 1000); err != nil || len(raw) != 1000 {
		t.Errorf("a file that just fits: %d bytes, %v", len(raw), err)
	}
}

func zip(t *testing.T, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
