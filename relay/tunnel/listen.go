// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"cmp"
	"context"
	"net"
	"slices"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/socket"
)

// listener is the port of an import.
type listener struct {
	address string
	l       net.Listener // nil while it cannot be opened
	problem string       // why
}

func (l *listener) close() {
	if l.l != nil {
		_ = l.l.Close()
	}
}

// listen closes the ports that the present table does not name and opens those that
// it does. What cannot be opened is noted and tried again. The caller holds mu.
func (e *Engine) listen() {
	if e.ctx == nil {
		return
	}
	t := e.now.Load()
	for name, l := range e.listeners {
		if m, wanted := t.imports[name]; !wanted || m.Listen != l.address {
			l.close()
			delete(e.listeners, name)
		}
	}
	for name, m := range t.imports {
		l := e.listeners[name]
		if l == nil {
			l = &listener{address: m.Listen}
			e.listeners[name] = l
		}
		if l.l == nil {
			e.openPort(name, l)
		}
	}
}

func (e *Engine) openPort(name string, l *listener) {
	opened, err := socket.Listen(e.ctx, l.address)
	if err != nil {
		problem := say("we cannot listen on %s: %s; another program or import may use it", l.address, plain(err))
		if l.problem != problem {
			l.problem = problem
			e.cfg.Log.Error("the port of an imported service cannot be opened", "service", name, "problem", problem)
			e.changed()
		}
		return
	}
	if l.problem != "" {
		l.problem = ""
		e.changed()
	}
	l.l = opened
	ctx := e.ctx
	e.clients.Go(func() { e.accept(ctx, opened, name) })
}

// Addr returns the address on which an import listens, nil while it does not.
func (e *Engine) Addr(name string) net.Addr {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.listeners[name]; l != nil && l.l != nil {
		return l.l.Addr()
	}
	return nil
}

// ReportServices describes all exports, then all imports, by name.
func (e *Engine) ReportServices(context.Context) ([]report.Service, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	services := make([]report.Service, 0, len(e.services))
	for k, s := range e.services {
		r := report.Service{Name: k.name, Import: k.imported, Refused: steps(s.refused.Load())}
		if p := s.problem.Load(); p != nil {
			r.Error = p.text
		}
		if l := e.listeners[k.name]; k.imported && l != nil {
			r.Listening = l.l != nil
			r.Error = cmp.Or(l.problem, r.Error)
		}
		services = append(services, r)
	}
	slices.SortFunc(services, func(a, b report.Service) int {
		if a.Import != b.Import {
			if b.Import {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return services, nil
}
