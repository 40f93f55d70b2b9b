// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"
)

// report is how often a line about a build's progress is written.
const report = 5 * time.Second

// packageLine is what "go build -v" prints for each package that it compiles.
var packageLine = regexp.MustCompile(`^[a-zA-Z0-9._~/-]+$`)

// compile runs one "go build" into folder, with a line of progress every few seconds. Everything is built without cgo:
// the programs are static, so that they can be put in images, and there is one entry for each package in Go's cache.
func compile(ctx context.Context, out io.Writer, module, folder string, b build) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making the directory of a build: %w", err)
	}
	args := append([]string{"build", "-v", "-ldflags", b.ldflags, "-o", folder + "/"}, b.packages...)
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = module
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	messages, err := command.StderrPipe()
	if err != nil {
		return fmt.Errorf("preparing go build: %w", err)
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting go build: %w", err)
	}
	p := &progress{started: time.Now()}
	stop := p.tell(out)
	problems := p.follow(messages)
	err = command.Wait()
	stop()
	if err != nil {
		return fmt.Errorf("building %s in %q: %w\n%s", strings.Join(b.packages, " "), module, err, problems)
	}
	fmt.Fprintf(out, "  %s\n", p.line("built"))
	return nil
}

// progress is how far a build is.
type progress struct {
	started time.Time

	mu    sync.Mutex
	count int
	last  string
}

// follow reads what go build says until it ends, and returns what was not progress.
func (p *progress) follow(messages io.Reader) string {
	var problems []string
	lines := bufio.NewScanner(messages)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case packageLine.MatchString(line):
			p.mu.Lock()
			p.count, p.last = p.count+1, line
			p.mu.Unlock()
		case strings.HasPrefix(line, "go: downloading "):
			p.mu.Lock()
			p.last = strings.TrimPrefix(line, "go: ")
			p.mu.Unlock()
		default:
			problems = append(problems, line)
		}
	}
	return strings.Join(problems, "\n")
}

func (p *progress) line(verb string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	elapsed := time.Since(p.started).Round(time.Second)
	if p.last == "" {
		return fmt.Sprintf("%6s  %s: nothing to compile so far", elapsed, verb)
	}
	return fmt.Sprintf("%6s  %s: %d packages compiled, last %s", elapsed, verb, p.count, p.last)
}

// tell writes the progress every few seconds until stop is called.
func (p *progress) tell(out io.Writer) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(report)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				fmt.Fprintf(out, "  %s\n", p.line("building"))
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}
