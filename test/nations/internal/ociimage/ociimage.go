// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package ociimage writes OCI image archives with one layer on an empty base: static programs, /etc/passwd with root
// and nonroot (65532), and /tmp. The same input always gives the same bytes.
package ociimage

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Image is what an image consists of.
type Image struct {
	// Ref is the image's reference, such as "certlink.test/relay:dev".
	Ref string
	// Files maps files of the machine to their absolute paths in the image. They become executable for everyone.
	Files map[string]string
	// Entrypoint is the command.
	Entrypoint []string
	// User is the user and group number; empty means root.
	User string
}

// Reference completes a reference as container engines do: without a registry it is of docker.io.
func Reference(ref string) string {
	first, rest, found := strings.Cut(ref, "/")
	switch {
	case !found:
		return "docker.io/library/" + ref
	case strings.ContainsAny(first, ".:") || first == "localhost":
		return first + "/" + rest
	default:
		return "docker.io/" + ref
	}
}

// WriteFile writes the archive to a file and returns the image's digest.
func WriteFile(name string, image Image) (digest string, err error) {
	file, err := os.Create(name)
	if err != nil {
		return "", fmt.Errorf("making the archive of image %q: %w", image.Ref, err)
	}
	defer file.Close()
	digest, err = Write(file, image)
	if err != nil {
		return "", fmt.Errorf("writing the archive of image %q: %w", image.Ref, err)
	}
	return digest, file.Close()
}

// object is JSON to be.
type object map[string]any

// Write writes the archive and returns the digest of the image's manifest. The layer is kept in memory meanwhile.
func Write(w io.Writer, image Image) (string, error) {
	layer, err := layer(image.Files)
	if err != nil {
		return "", err
	}
	settings := object{"Entrypoint": image.Entrypoint, "Env": []string{"PATH=/"}, "WorkingDir": "/"}
	if image.User != "" {
		settings["User"] = image.User
	}
	platform := object{"architecture": runtime.GOARCH, "os": "linux"}
	config, err := json.Marshal(object{
		"architecture": runtime.GOARCH, "os": "linux", "created": "1970-01-01T00:00:00Z", "config": settings,
		"rootfs": object{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	if err != nil {
		return "", fmt.Errorf("encoding the configuration: %w", err)
	}
	const kind = "application/vnd.oci.image."
	manifest, err := json.Marshal(object{
		"schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
		"config": descriptor(kind+"config.v1+json", config),
		"layers": []object{descriptor(kind+"layer.v1.tar", layer)},
	})
	if err != nil {
		return "", fmt.Errorf("encoding the manifest: %w", err)
	}
	entry := descriptor(kind+"manifest.v1+json", manifest)
	entry["platform"] = platform
	ref := Reference(image.Ref)
	entry["annotations"] = object{"io.containerd.image.name": ref, "org.opencontainers.image.ref.name": ref}
	index, err := json.Marshal(object{"schemaVersion": 2, "mediaType": kind + "index.v1+json", "manifests": []object{entry}})
	if err != nil {
		return "", fmt.Errorf("encoding the index: %w", err)
	}
	return digest(manifest), archive(w, index, layer, config, manifest)
}

func archive(w io.Writer, index []byte, blobs ...[]byte) error {
	tape := tar.NewWriter(w)
	if err := addFile(tape, "oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	if err := addFile(tape, "index.json", 0o644, index); err != nil {
		return err
	}
	for _, blob := range blobs {
		if err := addFile(tape, "blobs/sha256/"+strings.TrimPrefix(digest(blob), "sha256:"), 0o644, blob); err != nil {
			return err
		}
	}
	return tape.Close()
}

const users = "root:x:0:0:root:/:/nologin\nnonroot:x:65532:65532:nonroot:/:/nologin\n"

func layer(files map[string]string) ([]byte, error) {
	var content bytes.Buffer
	tape := tar.NewWriter(&content)
	folders := map[string]int64{"/tmp": 0o1777, "/etc": 0o755, "/dev": 0o755, "/proc": 0o755, "/sys": 0o755}
	for _, at := range files {
		for dir := path.Dir(at); dir != "/"; dir = path.Dir(dir) {
			if folders[dir] == 0 {
				folders[dir] = 0o755
			}
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		header := &tar.Header{Name: dir[1:] + "/", Mode: folders[dir], Typeflag: tar.TypeDir, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := tape.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("adding folder %q: %w", dir, err)
		}
	}
	if err := addFile(tape, "etc/passwd", 0o644, []byte(users)); err != nil {
		return nil, err
	}
	for _, source := range slices.Sorted(maps.Keys(files)) {
		program, err := os.ReadFile(source)
		if err != nil {
			return nil, fmt.Errorf("reading a program: %w", err)
		}
		if err := addFile(tape, strings.TrimPrefix(files[source], "/"), 0o755, program); err != nil {
			return nil, err
		}
	}
	return content.Bytes(), tape.Close()
}

func addFile(tape *tar.Writer, name string, mode int64, content []byte) error {
	header := &tar.Header{Name: name, Mode: mode, Size: int64(len(content)), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
	if err := tape.WriteHeader(header); err != nil {
		return fmt.Errorf("adding %q: %w", name, err)
	}
	if _, err := tape.Write(content); err != nil {
		return fmt.Errorf("adding %q: %w", name, err)
	}
	return nil
}

func digest(blob []byte) string {
	sum := sha256.Sum256(blob)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func descriptor(kind string, blob []byte) object {
	return object{"mediaType": kind, "digest": digest(blob), "size": len(blob)}
}
