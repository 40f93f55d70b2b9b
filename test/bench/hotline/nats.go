// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// natsModule is built on its own: it has a go.mod of its own.
const natsModule = "test/bench/hotline/nats"

// jetStream is the other program, which does a run when it is told to.
type jetStream struct {
	process *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

// answer is what it says about a run; see its documentation.
type answer struct {
	Seconds float64   `json:"seconds"`
	Here    []float64 `json:"here"`
	Done    []float64 `json:"done"`
}

func startNATS(ctx context.Context, dir string) (*jetStream, error) {
	binary := filepath.Join(dir, "nats")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, ".")
	build.Dir, build.Env = natsModule, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s: %w: %s", natsModule, err, out)
	}
	j := &jetStream{process: exec.CommandContext(ctx, binary, "-dir", filepath.Join(dir, "jetstream"))}
	j.process.Stderr = os.Stderr
	j.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if j.in, err = j.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := j.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	j.out = json.NewDecoder(out)
	return j, j.process.Start()
}

// run does a run and waits for its end.
func (j *jetStream) run(messages, senders int) (a answer, err error) {
	if _, err := fmt.Fprintf(j.in, "run %d %d %d\n", messages, senders, textBytes); err != nil {
		return answer{}, fmt.Errorf("telling NATS: %w", err)
	}
	if err := j.out.Decode(&a); err != nil {
		return answer{}, fmt.Errorf("reading the answer of NATS: %w", err)
	}
	return a, nil
}

func (j *jetStream) stop() {
	_ = j.in.Close() // it ends then
	_ = j.process.Wait()
}
