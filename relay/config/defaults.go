// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import "slices"

// Defaults of fields that may be left out.
const (
	DefaultLinkAddress          = ":8443"
	DefaultLocalAddress         = ":9443"
	DefaultHealthAddress        = ":8080"
	DefaultIntervalMilliseconds = 100
	DefaultMisses               = 3
	DefaultIntervalSeconds      = 60
	DefaultMaxObjects           = 1_000_000
	DefaultUnmarkedAs           = "AMBER+STRICT"
	DefaultConnections          = 1024
	// DefaultTransitBytesPerSecond is in bytes.
	DefaultTransitBytesPerSecond = 1 << 20
	DefaultIdleSeconds           = 3600
)

// DefaultDeadlines are the deadlines of a hotline, the most urgent precedence first.
func DefaultDeadlines() []Deadline {
	return []Deadline{
		{Precedence: "FLASH", ReceiptSeconds: 30, AcknowledgementSeconds: 300, AnswerSeconds: 3600},
		{Precedence: "IMMEDIATE", ReceiptSeconds: 60, AcknowledgementSeconds: 900, AnswerSeconds: 14400},
		{Precedence: "PRIORITY", ReceiptSeconds: 300, AcknowledgementSeconds: 3600, AnswerSeconds: 86400},
		{Precedence: "ROUTINE", ReceiptSeconds: 900, AcknowledgementSeconds: 86400, AnswerSeconds: 604800},
	}
}

// SetDefaults fills every field that was left out and has a default. Decode has
// done it already.
func (c *Config) SetDefaults() {
	fill(&c.Listen.Link, DefaultLinkAddress)
	fill(&c.Listen.Local, DefaultLocalAddress)
	fill(&c.Listen.Health, DefaultHealthAddress)
	fill(&c.Identity.DisplayName, c.Identity.TrustDomain)
	c.Store.Postgres.setDefaults()
	c.Territory.setDefaults(c.Store.SQLite)
	c.Desk.setDefaults()
	for i := range c.Peers {
		p := &c.Peers[i]
		fill(&p.State, Active)
		fill(&p.DisplayName, p.TrustDomain)
		fill(&p.Detection.IntervalMilliseconds, DefaultIntervalMilliseconds)
		fill(&p.Detection.Misses, DefaultMisses)
		fill(&p.Rotation, Automatic)
		fill(&p.Transit, TransitDenied)
		fill(&p.Limits.TunnelConnections, DefaultConnections)
		fill(&p.Limits.TransitBytesPerSecond, DefaultTransitBytesPerSecond)
	}
	for i := range c.ServiceExports {
		e := &c.ServiceExports[i]
		fill(&e.MaxConnections, DefaultConnections)
		fill(&e.IdleSeconds, DefaultIdleSeconds)
	}
	for i := range c.ServiceImports {
		m := &c.ServiceImports[i]
		fill(&m.MaxConnections, DefaultConnections)
		fill(&m.IdleSeconds, DefaultIdleSeconds)
	}
	for i := range c.Exports {
		e := &c.Exports[i]
		fill(&e.Title, e.Name)
		for j := range e.Sources {
			fill(&e.Sources[j].UnmarkedAs, DefaultUnmarkedAs)
			e.Sources[j].Pull.setDefaults()
		}
	}
	for i := range c.Imports {
		m := &c.Imports[i]
		fill(&m.Title, m.Name)
		fill(&m.IntervalSeconds, DefaultIntervalSeconds)
		fill(&m.MaxObjects, DefaultMaxObjects)
		m.setDeliveryDefaults()
	}
	for i := range c.Hotlines {
		c.Hotlines[i].setDefaults()
		c.Hotlines[i].setEscalationDefaults()
	}
}

// setDefaults completes the deadlines. Where only the acknowledgement's was
// given, and it is shorter than the default receipt's, that gives way to it.
func (h *Hotline) setDefaults() {
	h.LineChecks.setDefaults()
	h.Release.setDefaults()
	for _, d := range DefaultDeadlines() {
		i := slices.IndexFunc(h.Deadlines, func(x Deadline) bool { return x.Precedence == d.Precedence })
		if i < 0 {
			h.Deadlines = append(h.Deadlines, d)
			continue
		}
		given := &h.Deadlines[i]
		if given.ReceiptSeconds == 0 && given.AcknowledgementSeconds > 0 {
			d.ReceiptSeconds = min(d.ReceiptSeconds, given.AcknowledgementSeconds)
		}
		d.AcknowledgementSeconds = max(d.AcknowledgementSeconds, given.ReceiptSeconds)
		fill(&given.ReceiptSeconds, d.ReceiptSeconds)
		fill(&given.AcknowledgementSeconds, d.AcknowledgementSeconds)
		fill(&given.AnswerSeconds, d.AnswerSeconds)
	}
}

// fill sets a field that still has its zero value.
func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
