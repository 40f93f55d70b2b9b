// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package geo_test

import (
	"os"
	"testing"

	"github.com/certlink/certlink/relay/territory/geo"
)

// BenchmarkReadCountries reads the database that MMDB names, else that of the tests:
// no real one is part of the repository, because publishers have terms of their own.
func BenchmarkReadCountries(b *testing.B) {
	path := os.Getenv("MMDB")
	if path == "" {
		path = "../testdata/country.mmdb"
	}
	raw, err := os.ReadFile(path) //nolint:gosec // a person names it
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		c, err := geo.ReadCountries(b.Context(), raw)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(c.Len()), "ranges")
		b.ReportMetric(float64(c.Bytes())/(1<<20), "MiB")
	}
}
