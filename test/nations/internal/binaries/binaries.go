// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package binaries builds the programs of the test clusters from pinned Go modules, and keeps them by version.
//
// The version is a digest of everything that decides the result: the module's files, the build settings, the Go release
// and the platform. A directory of that name below the cache is complete and never changed; a build that was cut short
// leaves only a directory ending in ".part", which the next build continues.
package binaries

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/nations/internal/ociimage"
)

// Set is a complete set of programs.
type Set struct {
	// Dir holds the programs; CNI plugins are in its folder cni, image archives in images.
	Dir string
	// Version names the set, and its images.
	Version string
}

// The images that every nation runs.
var images = map[string]ociimage.Image{
	"pause":        {Files: map[string]string{"pause": "/pause"}, Entrypoint: []string{"/pause"}},
	"coredns":      {Files: map[string]string{"coredns": "/coredns"}, Entrypoint: []string{"/coredns"}},
	"cert-manager": {Files: map[string]string{"certmanager": "/certmanager"}, Entrypoint: []string{"/certmanager"}, User: "65532"},
}

// Image is the reference of one of the set's own images: pause, coredns or cert-manager.
func (s Set) Image(name string) string { return "nations.test/" + name + ":" + s.Version }

// Images lists the archives of the set's own images by their references.
func (s Set) Images() map[string]string {
	all := map[string]string{}
	for name := range images {
		all[s.Image(name)] = filepath.Join(s.Dir, "images", name+".tar")
	}
	return all
}

// CRDs is the file of cert-manager's resource definitions.
func (s Set) CRDs() string { return filepath.Join(s.Dir, "cert-manager-crds.yaml") }

const kubernetes = "v1.36.3"

// The linker's settings put the releases' versions into the programs, which they compare with each other.
var ldflags = strings.Join([]string{
	"-s", "-w",
	"-X k8s.io/component-base/version.gitVersion=" + kubernetes,
	"-X k8s.io/component-base/version.gitMajor=1", "-X k8s.io/component-base/version.gitMinor=36",
	"-X k8s.io/client-go/pkg/version.gitVersion=" + kubernetes,
	"-X github.com/containerd/containerd/v2/version.Version=v2.3.7",
}, " ")

// build is one "go build": its packages and the folder of its results.
type build struct {
	folder, ldflags string
	packages        []string
}

var builds = []build{
	{folder: ".", ldflags: ldflags, packages: []string{
		"k8s.io/kubernetes/cmd/kube-apiserver", "k8s.io/kubernetes/cmd/kube-controller-manager",
		"k8s.io/kubernetes/cmd/kube-scheduler", "k8s.io/kubernetes/cmd/kube-proxy",
		"k8s.io/kubernetes/cmd/kubelet", "k8s.io/kubernetes/cmd/kubectl",
		"github.com/containerd/containerd/v2/cmd/containerd", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
		"github.com/containerd/containerd/v2/cmd/ctr",
		"./cmd/etcd", "./cmd/coredns", "./cmd/certmanager", "./cmd/pause",
	}},
	{folder: "cni", ldflags: "-s -w", packages: []string{
		"github.com/containernetworking/plugins/plugins/main/bridge", "github.com/containernetworking/plugins/plugins/main/loopback",
		"github.com/containernetworking/plugins/plugins/ipam/host-local", "github.com/containernetworking/plugins/plugins/meta/portmap",
	}},
}

// Ensure returns the set of the source tree's version, building it if it is not there. Progress goes to out.
func Ensure(ctx context.Context, out io.Writer) (Set, error) {
	module, dir, version, err := locate()
	if err != nil {
		return Set{}, err
	}
	set := Set{Dir: dir, Version: version}
	return set, once(dir, func(part string) error {
		fmt.Fprintln(out, "building the clusters' programs (once for each version; about 13 minutes on two cores when Go's build cache is empty)")
		for _, b := range builds {
			if err := compile(ctx, out, module, filepath.Join(part, b.folder), b); err != nil {
				return err
			}
		}
		if err := copyCRDs(ctx, module, filepath.Join(part, filepath.Base(set.CRDs()))); err != nil {
			return err
		}
		return set.writeImages(part)
	})
}

// locate finds the module and the directory of its results.
func locate() (module, dir, version string, err error) {
	root, err := layout.Repository()
	if err != nil {
		return "", "", "", err
	}
	cache, err := layout.Cache()
	if err != nil {
		return "", "", "", err
	}
	module = filepath.Join(root, "hack", "tools", "clusters")
	version, err = digest(module, fmt.Sprint(builds)+runtime.Version()+runtime.GOOS+runtime.GOARCH)
	return module, filepath.Join(cache, "clusters", version), version, err
}

// digest covers the settings and the name and content of every file of the module.
func digest(module, settings string) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q", settings)
	err := filepath.WalkDir(module, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(module, path)
		fmt.Fprintf(sum, "%q%q", name, content)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("reading module %q: %w", module, err)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6]), nil
}

// once calls produce for a directory that is not there, one process at a time, and puts the result in place when done.
func once(dir string, produce func(part string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	part := dir + ".part"
	if err := os.MkdirAll(part, 0o755); err != nil {
		return fmt.Errorf("making the programs' directory: %w", err)
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("locking the programs' directory: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("locking the programs' directory: %w", err)
	}
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := produce(part); err != nil {
		return err
	}
	if err := os.Rename(part, dir); err != nil {
		return fmt.Errorf("putting the programs in place: %w", err)
	}
	return nil
}

func copyCRDs(ctx context.Context, module, to string) error {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/cert-manager/cert-manager")
	list.Dir = module
	dir, err := list.Output()
	if err != nil {
		return fmt.Errorf("finding cert-manager's module: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "deploy", "crds", "*.yaml"))
	if err != nil || len(files) == 0 {
		return errors.Join(errors.New("finding cert-manager's resource definitions: none in its module"), err)
	}
	var all []byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading cert-manager's resource definitions: %w", err)
		}
		all = append(append(all, "\n---\n"...), text...)
	}
	if err := os.WriteFile(to, all, 0o644); err != nil {
		return fmt.Errorf("writing cert-manager's resource definitions: %w", err)
	}
	return nil
}

func (s Set) writeImages(part string) error {
	if err := os.MkdirAll(filepath.Join(part, "images"), 0o755); err != nil {
		return fmt.Errorf("making the images' directory: %w", err)
	}
	for name, image := range images {
		files := map[string]string{}
		for program, at := range image.Files {
			files[filepath.Join(part, program)] = at
		}
		image.Ref, image.Files = s.Image(name), files
		if _, err := ociimage.WriteFile(filepath.Join(part, "images", name+".tar"), image); err != nil {
			return err
		}
	}
	return nil
}
