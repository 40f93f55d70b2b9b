// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/certlink/certlink/test/nations/internal/binaries"
	"github.com/certlink/certlink/test/nations/internal/node"
	"github.com/certlink/certlink/test/nations/internal/ociimage"
)

// Image is an image made from static programs on an empty base, which has /etc/passwd with root and nonroot (65532),
// and /tmp.
type Image = ociimage.Image

// InstallImage makes the image and puts it into the nation's containerd, in place of an older one of that reference;
// the same one is not put there twice.
// Pods use it with imagePullPolicy Never or IfNotPresent; running ones keep the old one.
func (n *Nation) InstallImage(ctx context.Context, image Image) error {
	dir, err := os.MkdirTemp(string(n.dirs), "image-")
	if err != nil {
		return fmt.Errorf("making a place for image %q: %w", image.Ref, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	archive := filepath.Join(dir, "image.tar")
	digest, err := ociimage.WriteFile(archive, image)
	if err != nil {
		return err
	}
	set, err := binaries.Ensure(ctx, os.Stderr)
	if err != nil {
		return err
	}
	have, err := n.ctr(ctx, set, "images", "ls", "name=="+ociimage.Reference(image.Ref))
	if err != nil || strings.Contains(have, digest) {
		return err
	}
	return n.importArchive(ctx, set, archive)
}

func (n *Nation) importArchive(ctx context.Context, set binaries.Set, archive string) error {
	_, err := n.ctr(ctx, set, "images", "import", archive)
	return err
}

// importOwn imports those of the set's images that the nation lacks.
func (n *Nation) importOwn(ctx context.Context, set binaries.Set) error {
	var list string
	err := poll(ctx, "waiting for containerd of "+n.Name, func() error {
		var err error
		list, err = n.ctr(ctx, set, "images", "ls", "-q")
		return err
	})
	if err != nil {
		return err
	}
	have := strings.Fields(list)
	for ref, archive := range set.Images() {
		if slices.Contains(have, ref) {
			continue
		}
		if err := n.importArchive(ctx, set, archive); err != nil {
			return err
		}
	}
	return nil
}

// ctr talks to the nation's containerd from outside, through the root directory of its first process.
func (n *Nation) ctr(ctx context.Context, set binaries.Set, args ...string) (string, error) {
	pid, err := n.init()
	if err != nil {
		return "", err
	}
	socket := fmt.Sprintf("/proc/%d/root%s", pid, node.ContainerdSocket)
	command := exec.CommandContext(ctx, filepath.Join(set.Dir, "ctr"), append([]string{"-a", socket, "-n", "k8s.io"}, args...)...)
	out, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("running ctr %s in %s: %w: %s", strings.Join(args, " "), n.Name, err, out)
	}
	return string(out), nil
}
