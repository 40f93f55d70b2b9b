// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Programs are certlink's own, built from this tree.
type Programs struct {
	// Operator, Relay and CLI are paths of static binaries. Echo is one of the
	// harness.
	Operator, Relay, CLI, Echo string
}

// Repository is the root of the tree that the working directory is in.
func Repository() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		content, missing := os.ReadFile(filepath.Join(dir, "go.mod"))
		if missing == nil && bytes.HasPrefix(content, []byte("module github.com/certlink/certlink\n")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			err = errors.New("the working directory is not in certlink's source tree")
			break
		}
		dir = filepath.Dir(dir)
	}
	return "", fmt.Errorf("looking for the source tree: %w", err)
}

// cache is where built programs are kept, outside the tree.
func cache(elem ...string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("looking for the cache directory: %w", err)
	}
	dir := filepath.Join(append([]string{base, "certlink"}, elem...)...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the cache directory: %w", err)
	}
	return dir, nil
}

// Build builds certlink's programs. Go's build cache makes a repetition cheap.
func Build(ctx context.Context) (Programs, error) {
	root, err := Repository()
	if err != nil {
		return Programs{}, err
	}
	dir, err := cache("programs")
	if err != nil {
		return Programs{}, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", dir+string(filepath.Separator), "./cmd/operator", "./cmd/relay", "./cmd/kubectl-certlink", "./test/nations/cmd/echo")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("building certlink: %w: %s", err, said)
	}
	return Programs{
		Operator: filepath.Join(dir, "operator"),
		Relay:    filepath.Join(dir, "relay"),
		CLI:      filepath.Join(dir, "kubectl-certlink"),
		Echo:     filepath.Join(dir, "echo"),
	}, nil
}

// Tools has the tools built that the steps of a scenario call, so that no step, which is bounded in
// time, waits for the first build of one: helm, and the web application that nations of ours share.
func Tools(ctx context.Context, nations bool) error {
	tools := []string{"helm"}
	if nations {
		tools = append(tools, "alertmanager")
	}
	for _, name := range tools {
		if _, err := Tool(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// tag names an image by the content of its programs.
func tag(programs ...string) (string, error) {
	sum := sha256.New()
	for _, path := range programs {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("reading a program: %w", err)
		}
		_, err = io.Copy(sum, file)
		file.Close()
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", path, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}

// run starts a program and returns what it wrote to standard output. Its error
// holds what it wrote to standard error.
func run(ctx context.Context, in io.Reader, env []string, argv ...string) (string, error) {
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Stdin = in
	command.Env = append(os.Environ(), env...)
	var out, errOut bytes.Buffer
	command.Stdout, command.Stderr = &out, &errOut
	if err := command.Run(); err != nil {
		return out.String(), &CommandError{Argv: argv, Stderr: strings.TrimSpace(errOut.String()), err: err}
	}
	return out.String(), nil
}

// CommandError is a command that did not succeed.
type CommandError struct {
	// Argv is the command, Stderr what it said.
	Argv   []string
	Stderr string
	err    error
}

// Error is the command's own words.
func (e *CommandError) Error() string {
	return fmt.Sprintf("running %s: %v: %s", strings.Join(e.Argv, " "), e.err, e.Stderr)
}

// Unwrap gives the way in which it ended.
func (e *CommandError) Unwrap() error { return e.err }
