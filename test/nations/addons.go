// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"os"
	"text/template"
	"time"

	"github.com/certlink/certlink/test/nations/internal/binaries"
	"github.com/certlink/certlink/test/nations/internal/layout"
)

//go:embed manifests/*.yaml
var manifests embed.FS

var addons = template.Must(template.New("").ParseFS(manifests, "manifests/*.yaml"))

// addonData is what the manifests depend on.
type addonData struct {
	Nation layout.Nation
	All    []layout.Nation
	Set    binaries.Set
}

func renderAddons(data addonData) ([]byte, error) {
	var text bytes.Buffer
	for _, name := range []string{"cluster-dns.yaml", "cert-manager.yaml", "storage.yaml"} {
		text.WriteString("---\n")
		if err := addons.ExecuteTemplate(&text, name, data); err != nil {
			return nil, fmt.Errorf("rendering %q: %w", name, err)
		}
	}
	return text.Bytes(), nil
}

// applyAddons applies what every nation runs, until the API server takes all of it.
func (n *Nation) applyAddons(ctx context.Context, set binaries.Set) error {
	text, err := renderAddons(addonData{Nation: n.place, All: layout.All(), Set: set})
	if err != nil {
		return err
	}
	return poll(ctx, "applying DNS, storage classes and cert-manager", func() error {
		crds, err := os.Open(set.CRDs())
		if err != nil {
			return fmt.Errorf("opening cert-manager's resource definitions: %w", err)
		}
		defer crds.Close()
		_, err = n.kubectl(ctx, io.MultiReader(crds, bytes.NewReader([]byte("\n")), bytes.NewReader(text)),
			"apply", "--server-side", "--force-conflicts", "--field-manager=nations", "-f", "-")
		return err
	})
}

// waitAddons waits until they run and cert-manager's kinds are served.
func (n *Nation) waitAddons(ctx context.Context) error {
	for _, what := range [][]string{
		{"wait", "--for=condition=Established", "crd/certificates.cert-manager.io", "crd/issuers.cert-manager.io"},
		{"rollout", "status", "deployment/coredns", "-n", "kube-system"},
		{"rollout", "status", "deployment/cert-manager", "-n", "cert-manager"},
	} {
		if _, err := n.kubectl(ctx, nil, append(what, "--timeout="+addonLimit.String())...); err != nil {
			return err
		}
	}
	return nil
}

// addonLimit is how long one addon may take to run.
const addonLimit = 3 * time.Minute
