// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// OperatorNamespace is where Install puts the operator.
const OperatorNamespace = "certlink-system"

// installTime bounds the installation in one cluster.
const installTime = 3 * time.Minute

// Install installs or upgrades the Helm chart of this tree and waits until the
// operator is available.
func Install(ctx context.Context, c *Cluster) error {
	root, err := Repository()
	if err != nil {
		return err
	}
	helm, err := Tool(ctx, "helm")
	if err != nil {
		return err
	}
	repository, tag, found := cutTag(c.Image)
	if !found {
		return fmt.Errorf("image %q has no tag", c.Image)
	}
	ctx, cancel := context.WithTimeout(ctx, installTime)
	defer cancel()
	_, err = run(ctx, nil, nil, helm, "upgrade", "--install", "certlink", filepath.Join(root, "charts", "certlink"),
		"--kubeconfig", c.Kubeconfig, "--namespace", OperatorNamespace, "--create-namespace",
		"--set", "image.repository="+repository, "--set", "image.tag="+tag,
		"--wait", "--timeout", installTime.String())
	if err != nil {
		return fmt.Errorf("installing certlink in %s: %w", c.Name, err)
	}
	return nil
}

// cutTag splits REPOSITORY:TAG; the colon of a registry's port does not count.
func cutTag(image string) (repository, tag string, found bool) {
	i := strings.LastIndexByte(image, ':')
	if i < 0 || strings.Contains(image[i:], "/") {
		return image, "", false
	}
	return image[:i], image[i+1:], true
}
