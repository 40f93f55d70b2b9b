// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files match %s (%v)", pattern, err)
	}
	return paths
}

func TestDecodeFillsTheDefaultsOfAcceptedFiles(t *testing.T) {
	for _, path := range files(t, "testdata/accepted/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c, err := config.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			effective, err := config.Encode(c)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".effective", string(effective))
			again, err := config.Decode(effective)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c, again); diff != "" {
				t.Errorf("encoding and decoding changed it (-before +after):\n%s", diff)
			}
		})
	}
}

func TestDecodeNamesEveryFaultOfRefusedFiles(t *testing.T) {
	for _, path := range files(t, "testdata/refused/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = config.Decode(data)
			if err == nil {
				t.Fatal("accepted")
			}
			got := err.Error()
			if faults, ok := errors.AsType[config.FaultsError](err); ok {
				lines := make([]string, len(faults))
				for i, f := range faults {
					lines[i] = f.String()
				}
				got = strings.Join(lines, "\n")
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".faults", got+"\n")
		})
	}
}

func TestDecodeRefusesAFileThatIsTooLarge(t *testing.T) {
	_, err := config.Decode(make([]byte, config.MaxBytes+1))
	if err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("err = %v", err)
	}
}

func TestEncodeRefusesWhatDecodeWould(t *testing.T) {
	if _, err := config.Encode(&config.Config{}); err == nil {
		t.Error("encoded an empty configuration")
	}
}

func TestChecksumIsThatOfTheBytes(t *testing.T) {
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, "abc"
	if got := config.Checksum([]byte("abc")); got != want {
		t.Errorf("Checksum = %s", got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, pattern := range []string{"testdata/accepted/*.yaml", "testdata/refused/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Decode(data)
		if err != nil {
			return
		}
		if _, err := config.Encode(c); err != nil {
			t.Errorf("accepted, but not when encoded again: %v", err)
		}
	})
}
