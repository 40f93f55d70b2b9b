// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package hub is the one process on the machine that the nations share: the network between them, and the doors on
// loopback that lead to their API servers.
//
//	alfa's wan device ─┐                           ┌─ 127.0.0.1:16441 → alfa's API server
//	bravo's wan device ┼─ by destination, with cut, ┼─ 127.0.0.1:16442 → bravo's
//	charlie's ...     ─┘  delay, loss per direction └─ ...
//
// A direction may name an address at either end. A packet passes every direction that it belongs to: it is dropped
// when one of them is cut or loses it, and their delays add up.
//
// Packets go from one nation's device to another's and nowhere else: the hub has no socket to any other network.
// It holds nothing that must be kept. When it dies, the devices stay, packets are lost, and a new hub takes over once
// the nations are attached again; paths are then perfect. A nation that ends is let go at once.
package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/nations/internal/unixapi"
	"github.com/certlink/certlink/test/wan/pipe"
)

// Command is the name under which the harness's program is the hub; the state directory follows.
const Command = "nations-hub"

// maxOrder bounds the body of an order, in bytes.
const maxOrder = 1 << 16

// Port is what the hub knows of an attached nation.
type Port struct {
	Name string `json:"name"`
	Init int    `json:"init"`
	// APIPort is the port on loopback.
	APIPort int `json:"api_port"`
}

// PathState is one direction as it is now.
type PathState struct {
	Direction
	pipe.Quality
	pipe.Counts
}

// State is everything that the hub tells of itself.
type State struct {
	Ports []Port      `json:"ports"`
	Paths []PathState `json:"paths"`
}

type hub struct {
	wan *wan
	log *slog.Logger

	mu    sync.Mutex // guards doors
	doors map[string]*door
}

// Run is the hub. It returns when ctx ends.
func Run(ctx context.Context, state layout.State, log *slog.Logger) error {
	if err := os.Remove(state.HubSocket()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the old hub's socket: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", state.HubSocket())
	if err != nil {
		return fmt.Errorf("listening for orders: %w", err)
	}
	h := &hub{wan: newWAN(), log: log, doors: map[string]*door{}}
	defer h.close()
	server := &http.Server{Handler: h.routes(), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("taking orders: %w", err)
	}
	return nil
}

func (h *hub) close() {
	h.wan.close()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.doors {
		_ = d.listener.Close()
	}
}

func (h *hub) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		unixapi.Reply(w, h.state(), nil)
	})
	mux.HandleFunc("POST /ports", func(w http.ResponseWriter, r *http.Request) {
		var wanted Port
		if err := decode(w, r, &wanted); err != nil {
			unixapi.Reply(w, nil, err)
			return
		}
		attached, err := h.attach(wanted)
		unixapi.Reply(w, attached, err)
	})
	mux.HandleFunc("POST /paths", func(w http.ResponseWriter, r *http.Request) {
		var wanted []PathState
		err := decode(w, r, &wanted)
		if err == nil {
			err = h.setPaths(wanted)
		}
		unixapi.Reply(w, nil, err)
	})
	return mux
}

func decode(w http.ResponseWriter, r *http.Request, into any) error {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(into); err != nil {
		return fmt.Errorf("decoding the order: %w", err)
	}
	return nil
}

// attach connects a nation and opens its door.
func (h *hub) attach(wanted Port) (Port, error) {
	n, err := layout.Find(wanted.Name)
	if err != nil {
		return wanted, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.doors[n.Name]
	if d != nil && d.init == wanted.Init {
		wanted.APIPort = d.port
		return wanted, nil
	}
	if d != nil {
		_ = d.listener.Close()
	}
	if err := h.wan.attach(n, wanted.Init); err != nil {
		return wanted, err
	}
	if wanted.APIPort == 0 {
		wanted.APIPort = n.APIPort()
	}
	d, err = openDoor(wanted.APIPort, wanted.Init)
	if err != nil {
		return wanted, err
	}
	h.doors[n.Name] = d
	wanted.APIPort = d.port
	h.log.Info("attached", "nation", n.Name, "process", wanted.Init, "api_port", wanted.APIPort)
	go h.watch(n, wanted.Init)
	return wanted, nil
}

// watch lets the nation go when its first process ends.
func (h *hub) watch(n layout.Nation, init int) {
	if err := waitEnd(init); err != nil {
		h.log.Error("watching a nation", "nation", n.Name, "error", err)
	}
	h.wan.detach(n.Name, init)
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.doors[n.Name]; d != nil && d.init == init {
		_ = d.listener.Close()
		delete(h.doors, n.Name)
	}
	h.log.Info("ended", "nation", n.Name, "process", init)
}

func waitEnd(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("watching process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (h *hub) setPaths(wanted []PathState) error {
	for _, p := range wanted {
		if err := p.check(); err != nil {
			return err
		}
		if err := p.Validate(); err != nil {
			return fmt.Errorf("path from %s: %w", p.Direction, err)
		}
	}
	for _, p := range wanted {
		h.wan.path(p.Direction).Set(p.Quality)
	}
	return nil
}

func (h *hub) state() State {
	var state State
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range layout.Names {
		if d := h.doors[name]; d != nil {
			state.Ports = append(state.Ports, Port{Name: name, Init: d.init, APIPort: d.port})
		}
	}
	for _, d := range h.wan.directions() {
		quality, counts := h.wan.path(d).State()
		state.Paths = append(state.Paths, PathState{Direction: d, Quality: quality, Counts: counts})
	}
	return state
}
