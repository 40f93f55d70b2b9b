// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package ociimage

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unpack returns the files of an archive by name.
func unpack(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for tape := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := tape.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(tape)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = content
	}
}

type blobs map[string][]byte

func (b blobs) open(t *testing.T, digest string) []byte {
	t.Helper()
	content, ok := b["blobs/sha256/"+strings.TrimPrefix(digest, "sha256:")]
	if !ok {
		t.Fatalf("no blob %s", digest)
	}
	return content
}

func (b blobs) decode(t *testing.T, digest string, into any) {
	t.Helper()
	if err := json.Unmarshal(b.open(t, digest), into); err != nil {
		t.Fatal(err)
	}
}

func TestWrite(t *testing.T) {
	program := filepath.Join(t.TempDir(), "relay")
	if err := os.WriteFile(program, []byte("a program"), 0o600); err != nil {
		t.Fatal(err)
	}
	image := Image{Ref: "certlink.test/relay:dev", Files: map[string]string{program: "/opt/bin/relay"}, Entrypoint: []string{"/opt/bin/relay"}, User: "65532"}
	var first, second bytes.Buffer
	digest, err := Write(&first, image)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Write(&second, image); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same image gave other bytes")
	}
	archive := blobs(unpack(t, first.Bytes()))
	type ref struct{ Digest string }
	var index struct {
		Manifests []struct {
			ref
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(archive["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	if got := index.Manifests[0].Annotations["io.containerd.image.name"]; got != image.Ref {
		t.Errorf("it is named %q, want %q", got, image.Ref)
	}
	if got := index.Manifests[0].Digest; got != digest {
		t.Errorf("the digest is %q, want %q", digest, got)
	}
	var manifest struct {
		Config ref
		Layers []ref
	}
	archive.decode(t, index.Manifests[0].Digest, &manifest)
	var config struct {
		Config struct {
			Entrypoint []string
			User       string
		}
	}
	archive.decode(t, manifest.Config.Digest, &config)
	if diff := cmp.Diff(image.Entrypoint, config.Config.Entrypoint); diff != "" || config.Config.User != image.User {
		t.Errorf("entrypoint (-want +got)\n%s\nuser %q, want %q", diff, config.Config.User, image.User)
	}
	files := unpack(t, archive.open(t, manifest.Layers[0].Digest))
	if got := string(files["opt/bin/relay"]); got != "a program" {
		t.Errorf("the program is %q", got)
	}
	for _, want := range []string{"tmp/", "opt/", "opt/bin/", "etc/passwd"} {
		if _, ok := files[want]; !ok {
			t.Errorf("%q is missing", want)
		}
	}
	if _, err := Write(io.Discard, Image{Files: map[string]string{program + "-missing": "/x"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that is not there: got %v", err)
	}
}

func TestReference(t *testing.T) {
	got := []string{}
	for _, ref := range []string{"busybox:1", "certlink/relay:1", "certlink.test/relay:1", "localhost/relay:1", "host:5000/relay:1"} {
		got = append(got, Reference(ref))
	}
	want := []string{"docker.io/library/busybox:1", "docker.io/certlink/relay:1", "certlink.test/relay:1", "localhost/relay:1", "host:5000/relay:1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
