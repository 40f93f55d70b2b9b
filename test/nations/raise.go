// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/certlink/certlink/test/nations/internal/binaries"
	"github.com/certlink/certlink/test/nations/internal/boot"
	"github.com/certlink/certlink/test/nations/internal/hub"
	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/nations/internal/node"
	"github.com/certlink/certlink/test/nations/internal/pki"
	"github.com/certlink/certlink/test/nations/internal/proc"
)

// patience is how long a running nation's first process may take to answer before it counts as broken.
const patience = 5 * time.Second

// raiser is one run of Up.
type raiser struct {
	options Options
	set     binaries.Set
	state   layout.State
	helper  string
	out     *steps
}

// raise brings one nation from whatever state to a working one. Every step may find its work done.
func (r *raiser) raise(ctx context.Context, n *Nation) error {
	if r.options.Fresh {
		if err := takeDown(ctx, n); err != nil {
			return err
		}
	}
	pid, since, err := r.ensureInit(ctx, n)
	if err != nil {
		return err
	}
	if err := r.openDoor(ctx, n, pid); err != nil {
		return err
	}
	group, together := errgroup.WithContext(ctx)
	group.Go(func() error { return n.importOwn(together, r.set) })
	group.Go(func() error { return r.ensureComponents(together, n) })
	if err := group.Wait(); err != nil {
		return err
	}
	r.out.done(n.Name, "control plane runs, images are in")
	if err := n.waitAPI(ctx); err != nil {
		return err
	}
	if err := n.applyAddons(ctx, r.set); err != nil {
		return err
	}
	r.out.done(n.Name, "DNS, storage classes and cert-manager are applied")
	if err := n.waitNode(ctx, since); err != nil {
		return err
	}
	r.out.done(n.Name, "node is ready")
	if err := n.waitAddons(ctx); err != nil {
		return err
	}
	r.out.done(n.Name, "works: "+n.kubeconfig)
	return nil
}

// ensureInit returns the nation's first process, a new one if there is none or if it is of no use; since is when the new
// one was launched, or zero.
func (r *raiser) ensureInit(ctx context.Context, n *Nation) (pid int, since time.Time, err error) {
	if pid, err = boot.Running(n.dirs); err != nil {
		return 0, since, err
	}
	if pid != 0 {
		asking, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if status, err := boot.Ask(asking, n.dirs); err == nil && status.Problem == "" {
			return pid, since, nil
		}
		if err := proc.KillMatching(ctx, boot.InitCommand, string(n.dirs)); err != nil {
			return 0, since, err
		}
	}
	since = time.Now().Truncate(time.Second) // the API's times have no fractions
	if err := r.launch(ctx, n); err != nil {
		return 0, since, err
	}
	err = poll(ctx, "waiting for the first process of "+n.Name, func() error {
		if pid, err = boot.Running(n.dirs); err != nil || pid == 0 {
			return errors.Join(err, fmt.Errorf("it has ended: %s", lastLine(n.Log("init"))))
		}
		_, err := boot.Ask(ctx, n.dirs)
		return err
	})
	return pid, since, err
}

func (r *raiser) launch(ctx context.Context, n *Nation) error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return fmt.Errorf("finding the container runtime: %w", err)
	}
	if err := os.MkdirAll(n.dirs.Path("log"), 0o700); err != nil {
		return fmt.Errorf("making the nation's directory: %w", err)
	}
	if err := pki.Ensure(n.place, n.dirs); err != nil {
		return err
	}
	if err := boot.RemoveCgroups(n.dirs); err != nil {
		return err
	}
	site := node.Site{
		Nation: n.place, Dirs: n.dirs, Binaries: r.set.Dir, Runc: runc, Helper: r.helper, PauseImage: r.set.Image("pause"),
	}
	if err := boot.WriteSite(site); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, r.helper, boot.LaunchCommand, string(n.dirs)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("launching: %w: %s", err, out)
	}
	return nil
}

// openDoor attaches the nation to the hub, at the port on loopback that it had before, and writes the kubeconfig.
func (r *raiser) openDoor(ctx context.Context, n *Nation, pid int) error {
	wanted := hub.Port{Name: n.Name, Init: pid}
	if text, err := os.ReadFile(n.dirs.Path("api-port")); err == nil {
		wanted.APIPort, _ = strconv.Atoi(string(text))
	}
	attached, err := hub.Attach(ctx, r.state, wanted)
	if err != nil {
		return err
	}
	if err := os.WriteFile(n.dirs.Path("api-port"), []byte(strconv.Itoa(attached.APIPort)), 0o600); err != nil {
		return fmt.Errorf("noting the port of the API server: %w", err)
	}
	if err := os.WriteFile(n.dirs.Path(kubeconfigNote), []byte(n.kubeconfig), 0o600); err != nil {
		return fmt.Errorf("noting the place of the kubeconfig: %w", err)
	}
	server := fmt.Sprintf("https://127.0.0.1:%d", attached.APIPort)
	return pki.WriteKubeconfig(n.dirs, "admin", server, n.kubeconfig)
}

// ensureComponents waits until everything was started once, and starts what is not running now.
func (r *raiser) ensureComponents(ctx context.Context, n *Nation) error {
	return poll(ctx, "waiting for the components of "+n.Name, func() error {
		status, err := boot.Ask(ctx, n.dirs)
		if err != nil {
			return err
		}
		var missing []string
		for _, c := range status.Components {
			if c.PID != 0 {
				continue
			}
			missing = append(missing, c.Name)
			if c.Held || status.Booted {
				if err := boot.Start(ctx, n.dirs, c.Name); err != nil {
					return err
				}
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("not running: %s", strings.Join(missing, ", "))
		}
		return nil
	})
}

// waitNode waits until the node is ready and said so after since: after a power cut the old word still stands.
func (n *Nation) waitNode(ctx context.Context, since time.Time) error {
	return poll(ctx, "waiting for the node of "+n.Name, func() error {
		text, err := n.kubectl(ctx, nil, "get", "node", n.place.NodeName(), "-o", "json")
		if err != nil {
			return err
		}
		var found struct {
			Status struct {
				Conditions []struct {
					Type              string    `json:"type"`
					Status            string    `json:"status"`
					Message           string    `json:"message"`
					LastHeartbeatTime time.Time `json:"lastHeartbeatTime"`
				} `json:"conditions"`
			} `json:"status"`
		}
		if err := json.Unmarshal(text, &found); err != nil {
			return fmt.Errorf("decoding the node: %w", err)
		}
		for _, c := range found.Status.Conditions {
			if c.Type != "Ready" {
				continue
			}
			if c.Status != "True" || c.LastHeartbeatTime.Before(since) {
				return fmt.Errorf("it is not ready: %s", c.Message)
			}
			return nil
		}
		return errors.New("it has no condition Ready yet")
	})
}

func lastLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(lines[len(lines)-1])
}
