// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package figures prints what a benchmark measured: a table for people or, with
// JSON=1 in the environment, one line of JSON for each figure. It knows how to
// sum up samples, and nothing of what they mean.
package figures

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// Figure is one result.
type Figure struct {
	// Name, for example "tunnel.new_connection_cpu_ms".
	Name string `json:"name"`
	// Value is the one to quote: the median of the samples unless the name says
	// otherwise.
	Value float64 `json:"value"`
	// Unit of the value: "ms", "MB", "ratio", "1/h".
	Unit string `json:"unit"`
	// N is the number of samples; Min and Max are the extremes among them.
	N   int     `json:"n"`
	Min float64 `json:"min"`
	Max float64 `json:"max"`
	// Target is what the figure is meant to reach, as text; for people only.
	Target string `json:"-"`
}

// Set collects figures in the order in which they are added.
type Set struct{ figures []Figure }

// Add adds the median of samples. Without samples nothing is added.
func (s *Set) Add(name, unit, target string, samples []float64) {
	s.AddQuantile(name, unit, target, samples, 0.5)
}

// AddQuantile adds a quantile of samples, 0.99 for p99. Without samples nothing
// is added.
func (s *Set) AddQuantile(name, unit, target string, samples []float64, q float64) {
	if len(samples) == 0 {
		return
	}
	s.figures = append(s.figures, Figure{
		Name: name, Value: Quantile(samples, q), Unit: unit, Target: target,
		N: len(samples), Min: slices.Min(samples), Max: slices.Max(samples),
	})
}

// AddValue adds a figure that n samples gave together, such as a count.
func (s *Set) AddValue(name, unit, target string, value float64, n int) {
	s.figures = append(s.figures, Figure{Name: name, Value: value, Unit: unit, Target: target, N: n, Min: value, Max: value})
}

// Figures returns what was added.
func (s *Set) Figures() []Figure { return slices.Clone(s.figures) }

// Quantile returns the sample at a quantile of 0 to 1, by nearest rank. There must
// be samples.
func Quantile(samples []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	rank := int(q*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

// JSON tells whether JSON=1 asks for lines of JSON.
func JSON() bool { return os.Getenv("JSON") == "1" }

// Quick tells whether QUICK=1 asks for a run that ends within five minutes.
func Quick() bool { return os.Getenv("QUICK") == "1" }

// Print writes all figures, as JSON says.
func (s *Set) Print(w io.Writer) error {
	if JSON() {
		encoder := json.NewEncoder(w)
		for _, f := range s.figures {
			if err := encoder.Encode(f); err != nil {
				return fmt.Errorf("writing the figure %s: %w", f.Name, err)
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "figure\tvalue\tunit\tn\tmin\tmax\ttarget\t\n")
	for _, f := range s.figures {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t\n", f.Name, number(f.Value), f.Unit, f.N, number(f.Min), number(f.Max), f.Target)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	_, err := fmt.Fprintf(w, "%d cores, %s, %s\n", runtime.NumCPU(), runtime.Version(), runtime.GOARCH)
	return err
}

// number writes three significant digits, and whole numbers whole.
func number(v float64) string {
	text := fmt.Sprintf("%.3g", v)
	if v >= 1000 || strings.Contains(text, "e") {
		text = fmt.Sprintf("%.0f", v)
	}
	return text
}
