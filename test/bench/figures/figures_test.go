// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package figures

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestQuantileIsTheNearestRank(t *testing.T) {
	samples := []float64{9, 1, 5, 3, 7}
	for q, want := range map[float64]float64{0: 1, 0.2: 1, 0.5: 5, 0.99: 9, 1: 9} {
		if got := Quantile(samples, q); got != want {
			t.Errorf("Quantile(%v) = %v, want %v", q, got, want)
		}
	}
}

func TestAFigureIsOneLineOfJSON(t *testing.T) {
	t.Setenv("JSON", "1")
	var s Set
	s.Add("a.b", "ms", "≤ 1", []float64{3, 1, 2})
	s.AddValue("c", "1/h", "", 0, 12)
	s.Add("none", "ms", "", nil)
	var out bytes.Buffer
	if err := s.Print(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines, want 2: %s", len(lines), out.String())
	}
	var got Figure
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil {
		t.Fatal(err)
	}
	if want := (Figure{Name: "a.b", Value: 2, Unit: "ms", N: 3, Min: 1, Max: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTheTableShowsEveryFigure(t *testing.T) {
	t.Setenv("JSON", "")
	var s Set
	s.Add("a.b", "ms", "≤ 1", []float64{0.1234})
	var out bytes.Buffer
	if err := s.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a.b", "0.123", "≤ 1", "cores"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}
