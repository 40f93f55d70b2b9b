// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// kindPages are the pages of the kinds, by the plural of each.
var kindPages = map[string]string{
	"localcerts": "localcert.md", "peercerts": "peercert.md", "sharedfeeds": "sharedfeed.md",
	"sharedservices": "sharedservice.md", "hotlines": "hotline.md",
}

// TestEveryColumnIsExplainedOnThePageOfItsKind compares the columns of kubectl get with
// the table of each page, those of -o wide marked as such.
func TestEveryColumnIsExplainedOnThePageOfItsKind(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| ([A-Z][A-Z ]*(?: \(wide\))?) \| .*\S.* \|$`)
	for plural, page := range kindPages {
		data, err := os.ReadFile(filepath.Join(root, "config/crd/bases/certlink.dev_"+plural+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var definition apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(data, &definition); err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{}
		for _, column := range definition.Spec.Versions[0].AdditionalPrinterColumns {
			name := strings.ToUpper(column.Name)
			if column.Priority > 0 {
				name += " (wide)"
			}
			want[name] = true
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		_, table, _ := strings.Cut(string(text), "### Columns of kubectl get "+definition.Spec.Names.ShortNames[0]+"\n")
		table, _, _ = strings.Cut(table, "\n###")
		got := map[string]bool{}
		for _, match := range row.FindAllStringSubmatch(table, -1) {
			got[match[1]] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: columns (-kubectl +page): %s", page, diff)
		}
	}
}

// TestEveryAlertIsNamedOnThePageOfAKind: whoever reads of a kind sees what rings for it.
func TestEveryAlertIsNamedOnThePageOfAKind(t *testing.T) {
	var pages strings.Builder
	for _, page := range kindPages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		pages.Write(text)
	}
	rules, err := os.ReadFile(filepath.Join(root, "config/prometheus/rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(rules), -1)
	if len(alerts) == 0 {
		t.Fatal("there are no alerts")
	}
	for _, match := range alerts {
		if !strings.Contains(pages.String(), "["+match[1]+"](alerts.md#"+strings.ToLower(match[1])+")") {
			t.Errorf("no page of a kind leads to the alert %s", match[1])
		}
	}
}
