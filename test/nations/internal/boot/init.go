// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package boot

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/nations/internal/node"
)

const pollInterval = 100 * time.Millisecond

// Init is process 1 of a nation. It returns only if the nation cannot be set up; what goes wrong later is kept and told
// to those who ask at the control socket.
func Init(ctx context.Context, dirs layout.Dirs, log *slog.Logger) error {
	site, err := ReadSite(dirs)
	if err != nil {
		return err
	}
	if err := prepare(ctx, site); err != nil {
		return err
	}
	s := newSupervisor(site, log)
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	go s.reap(children)

	state := &progress{}
	go func() {
		if err := boot(ctx, site, s); err != nil {
			log.Error("booting", "error", err)
			state.fail(err)
			return
		}
		state.succeed()
	}()
	return serve(ctx, dirs, s, state)
}

// prepare does all that needs no process of its own to stay.
func prepare(ctx context.Context, site node.Site) error {
	if err := unix.Sethostname([]byte(site.Nation.NodeName())); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	if err := mounts(site.Dirs); err != nil {
		return err
	}
	files, err := site.Files()
	if err != nil {
		return err
	}
	for name, text := range files {
		path := site.Dirs.Path(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("making the directory of %q: %w", name, err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing %q: %w", name, err)
		}
	}
	return network(ctx, site)
}

// boot starts the components in their order.
func boot(ctx context.Context, site node.Site, s *supervisor) error {
	var later []string
	for _, c := range site.Components() {
		if c.NeedsAPI {
			later = append(later, c.Name)
			continue
		}
		if err := s.start(c.Name); err != nil {
			return err
		}
	}
	client, err := adminClient(site.Dirs)
	if err != nil {
		return err
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !ready(ctx, client) {
		<-tick.C
	}
	for _, name := range later {
		if err := s.start(name); err != nil {
			return err
		}
	}
	return nil
}

// ready asks the API server whether it is.
func ready(ctx context.Context, client *http.Client) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://127.0.0.1:6443/readyz", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func adminClient(dirs layout.Dirs) (*http.Client, error) {
	authority, err := os.ReadFile(dirs.PKI("ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("reading the nation's authority: %w", err)
	}
	own, err := tls.LoadX509KeyPair(dirs.PKI("admin.crt"), dirs.PKI("admin.key"))
	if err != nil {
		return nil, fmt.Errorf("reading the administrator's certificate: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, Certificates: []tls.Certificate{own}},
		DisableKeepAlives: true,
	}}, nil
}

func removeSocket(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the old socket: %w", err)
	}
	return nil
}
