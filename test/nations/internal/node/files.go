// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"embed"
	"fmt"
	"text/template"
)

// Files that the components read, below the nation's directory.
const (
	containerdFile = "containerd.toml"
	kubeletFile    = "kubelet.yaml"
	proxyFile      = "kube-proxy.yaml"
	auditFile      = "audit-policy.yaml"
	networkFile    = "cni/10-nation.conflist"
	// resolverFile is what pods with dnsPolicy Default see: nobody, since nothing outside can be asked.
	resolverFile = "resolv.conf"
	// FirewallFile is fed to nft once, when the node starts.
	FirewallFile = "nation.nft"
)

//go:embed templates
var templates embed.FS

var parsed = template.Must(template.ParseFS(templates, "templates/*"))

// Files returns the content of every configuration file by its path below the nation's directory.
func (s Site) Files() (map[string]string, error) {
	files := map[string]string{}
	for path, name := range map[string]string{
		containerdFile: "containerd.toml", kubeletFile: "kubelet.yaml", proxyFile: "kube-proxy.yaml",
		auditFile: "audit-policy.yaml", networkFile: "cni.json", resolverFile: "resolv.conf", FirewallFile: "nation.nft",
	} {
		var text bytes.Buffer
		if err := parsed.ExecuteTemplate(&text, name, s); err != nil {
			return nil, fmt.Errorf("rendering %q: %w", name, err)
		}
		files[path] = text.String()
	}
	return files, nil
}
