// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package prometheus_test keeps the alerts true: each stands on metrics that the
// code has, and each leads to a paragraph that says what to do.
package prometheus_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const root = "../.."

var metric = regexp.MustCompile(`certlink_(operator|relay)_[a-z_]+`)

type rule struct {
	Alert, Expr string
	Labels      map[string]string
	Annotations map[string]string
}

func TestAlerts(t *testing.T) {
	runbook, err := os.ReadFile(root + "/docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	code := code(t)
	for _, alert := range alerts(t) {
		t.Run(alert.Alert, func(t *testing.T) {
			for _, name := range metric.FindAllString(alert.Expr, -1) {
				if !defined(code, name) {
					t.Errorf("no code defines the metric %s", name)
				}
			}
			if !strings.Contains(string(runbook), "\n## "+alert.Alert+"\n") {
				t.Error("docs/alerts.md has no section about it")
			}
			if anchor := "#" + strings.ToLower(alert.Alert); !strings.HasSuffix(alert.Annotations["runbook_url"], anchor) {
				t.Errorf("runbook_url is %q, want it to end in %s", alert.Annotations["runbook_url"], anchor)
			}
			for _, want := range []string{"summary", "description"} {
				if alert.Annotations[want] == "" {
					t.Errorf("it has no %s", want)
				}
			}
			if severity := alert.Labels["severity"]; severity != "warning" && severity != "critical" {
				t.Errorf("severity is %q", severity)
			}
		})
	}
}

// defined tells whether code names the metric, whole or as the last part of a
// name that is put together from namespace, subsystem and name.
func defined(code, name string) bool {
	if strings.Contains(code, `"`+name+`"`) {
		return true
	}
	part := strings.SplitN(name, "_", 4) // certlink, relay, hotline, the rest
	return len(part) == 4 &&
		strings.Contains(code, `"`+part[0]+"_"+part[1]+`", "`+part[2]+`"`) &&
		strings.Contains(code, `"`+part[3]+`"`)
}

func alerts(t *testing.T) []rule {
	t.Helper()
	data, err := os.ReadFile("rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var object struct {
		Spec struct {
			Groups []struct{ Rules []rule }
		}
	}
	if err := yaml.Unmarshal(data, &object); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, group := range object.Spec.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("there is no alert")
	}
	return all
}

// code is the source of both halves, and of their wiring, in one text.
func code(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, half := range []string{"relay", "controllers", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, half), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			data, err := os.ReadFile(path)
			text.Write(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}
