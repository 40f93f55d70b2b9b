// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/test/scenario"
)

// What the demo's objects are called.
const (
	feedName   = "threats"
	importName = "from-alfa"
	public     = "attack"    // the source of a public feed that carries no TLP
	own        = "sightings" // the source of alfa's own objects
	shareable  = 3           // of alfa's own objects, TLP:GREEN
	red        = 5
	strict     = 4
	console    = "console" // the service, as alfa exports it
	alfas      = "alfas-console"
	unmarked   = 7
)

// demo is the state that the phases leave to each other.
type demo struct {
	out   io.Writer
	began time.Time
	times []timing

	programs    scenario.Programs
	all         []*scenario.Cluster
	alfa, bravo *scenario.Party

	export, imported v1alpha1.SharedFeed
	message          desk.Message
	page             page
}

// page is what a pod of bravo saw of alfa's web application.
type page struct {
	url, title string
	took       time.Duration
}

type timing struct {
	phase string
	took  time.Duration
}

// phase runs a step and tells how long it took.
func (d *demo) phase(ctx context.Context, name string, step func(context.Context) error) error {
	start := time.Now()
	if err := step(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	took := time.Since(start)
	d.times = append(d.times, timing{name, took})
	fmt.Fprintf(d.out, "%6.1fs  %s (%.1fs)\n", time.Since(d.began).Seconds(), name, took.Seconds())
	return nil
}

// clusters builds certlink and brings the clusters up, or looks at the user's.
func (d *demo) clusters(ctx context.Context, a arguments) error {
	err := d.phase(ctx, "certlink built from this tree", func(ctx context.Context) (err error) {
		d.programs, err = scenario.Build(ctx)
		return err
	})
	if err != nil {
		return err
	}
	err = d.phase(ctx, "helm and the web application built, unless they are there", func(ctx context.Context) error {
		return scenario.Tools(ctx, a.kubeconfigs == "")
	})
	if err != nil {
		return err
	}
	err = d.phase(ctx, "two nations up", func(ctx context.Context) (err error) {
		if a.kubeconfigs != "" {
			d.all, err = scenario.Named(ctx, scenario.Split(a.kubeconfigs), a.image, a.nodePorts)
			return err
		}
		d.all, err = scenario.Nations(ctx, 2, d.programs, d.out)
		return err
	})
	if err != nil {
		return err
	}
	if len(d.all) != 2 {
		return fmt.Errorf("the demo needs two clusters, not %d", len(d.all))
	}
	d.alfa = scenario.NewParty(d.all[0], d.all[0].Name, d.programs)
	d.bravo = scenario.NewParty(d.all[1], d.all[1].Name, d.programs)
	return nil
}

// both runs a step for each nation at the same time.
func (d *demo) both(ctx context.Context, step func(ctx context.Context, p, other *scenario.Party) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return step(ctx, d.alfa, d.bravo) })
	group.Go(func() error { return step(ctx, d.bravo, d.alfa) })
	return group.Wait()
}

func (d *demo) install(ctx context.Context) error {
	return d.both(ctx, func(ctx context.Context, p, _ *scenario.Party) error { return scenario.Install(ctx, p.Cluster) })
}

func (d *demo) found(ctx context.Context) error {
	return d.both(ctx, func(ctx context.Context, p, _ *scenario.Party) error {
		if err := p.Found(ctx, scenario.Volume{}); err != nil {
			return err
		}
		_, err := p.Founded(ctx, scenario.Volume{})
		return err
	})
}

func (d *demo) link(ctx context.Context) error {
	if err := d.both(ctx, scenario.Introduce); err != nil {
		return err
	}
	return d.both(ctx, func(ctx context.Context, p, other *scenario.Party) error {
		_, err := p.AwaitPeer(ctx, other.Name, scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionConnected)...)
		return err
	})
}

// feed: alfa shares ATT&CK, which is public but carries no TLP marking, and
// objects of its own, of which only the GREEN ones may leave.
func (d *demo) feed(ctx context.Context) error {
	sources := map[string]v1alpha1.TLPLevel{public: v1alpha1.TLPClear, own: ""}
	if err := d.alfa.Export(ctx, feedName, v1alpha1.TLPGreen, sources, d.bravo.Name); err != nil {
		return err
	}
	if err := d.bravo.Import(ctx, importName, d.alfa.Name, feedName); err != nil {
		return err
	}
	if err := d.push(ctx); err != nil {
		return err
	}
	attack, err := scenario.ATTACK()
	if err != nil {
		return err
	}
	objects, err := scenario.Objects(attack)
	if err != nil {
		return err
	}
	shared, held := int64(len(objects)+shareable), int64(red+strict+unmarked)
	d.export, err = d.alfa.AwaitFeed(ctx, feedName, func(f v1alpha1.SharedFeed) error {
		if s, h := scenario.Number(f.Status.Shared), scenario.Number(f.Status.Held); s != shared || h != held {
			return fmt.Errorf("%d objects are shared and %d held, not %d and %d", s, h, shared, held)
		}
		return scenario.All(f.Status.Conditions, f.Generation, scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionDelivering, v1alpha1.ConditionFresh)...)
	})
	if err != nil {
		return err
	}
	d.imported, err = d.bravo.AwaitFeed(ctx, importName, func(f v1alpha1.SharedFeed) error {
		if n := scenario.Number(f.Status.Stored); n != shared {
			return fmt.Errorf("%d objects are imported, not %d", n, shared)
		}
		return scenario.All(f.Status.Conditions, f.Generation, scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionDelivering, v1alpha1.ConditionFresh)...)
	})
	return err
}

// push waits for nothing: a source can be pushed into once the relay knows it.
func (d *demo) push(ctx context.Context) error {
	attack, err := scenario.ATTACK()
	if err != nil {
		return err
	}
	err = scenario.Poll(ctx, "the relay takes objects", func(ctx context.Context) error {
		said, err := d.alfa.CLI(ctx, nil, "feed", "list")
		if err == nil && !strings.Contains(said, feedName+"."+own) {
			err = errors.New("the source is not there")
		}
		return err
	})
	if err != nil {
		return err
	}
	if _, err := d.alfa.CLI(ctx, nil, "feed", "push", feedName+"."+public, attack); err != nil {
		return err
	}
	var objects []json.RawMessage
	objects = append(objects, scenario.Indicators("demo", "GREEN", shareable)...)
	objects = append(objects, scenario.Indicators("demo", "RED", red)...)
	objects = append(objects, scenario.Indicators("demo", "AMBER+STRICT", strict)...)
	objects = append(objects, scenario.Indicators("demo", "", unmarked)...)
	_, err = d.alfa.CLI(ctx, strings.NewReader(scenario.Bundle(objects...)), "feed", "push", feedName+"."+own, "-")
	return err
}

// hotline: bravo's duty officer asks, alfa's acknowledges.
func (d *demo) hotline(ctx context.Context) error {
	err := d.both(ctx, func(ctx context.Context, p, other *scenario.Party) error {
		if err := p.Hotline(ctx, other.Name); err != nil {
			return err
		}
		_, err := p.AwaitHotline(ctx, other.Name, func(h v1alpha1.Hotline) error {
			return scenario.All(h.Status.Conditions, h.Generation, scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionReachable)...)
		})
		return err
	})
	if err != nil {
		return err
	}
	said, err := d.bravo.CLI(ctx, strings.NewReader("Indicators of your feed match traffic to our grid operator since 02:10 UTC. Do you see the same?\n"),
		"hotline", "send", d.alfa.Name, "--kind", "INQUIRY", "--precedence", "IMMEDIATE", "--tlp", "AMBER+STRICT",
		"--subject", "Scans against grid operators", "--officer", "duty officer of bravo", "--wait", "receipt", "-o", "json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(said), &d.message); err != nil {
		return fmt.Errorf("reading the sent message: %w", err)
	}
	if _, err := d.alfa.CLI(ctx, nil, "hotline", "ack", d.message.ID, "--officer", "duty officer of alfa", "--text", "Read; we look."); err != nil {
		return err
	}
	return scenario.Poll(ctx, "the acknowledgement is at bravo", func(ctx context.Context) error {
		said, err := d.bravo.CLI(ctx, nil, "hotline", "show", d.message.ID, "-o", "json")
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(said), &d.message); err != nil {
			return fmt.Errorf("reading the message: %w", err)
		}
		if d.message.State != "Acknowledged" {
			return fmt.Errorf("it is %s", d.message.State)
		}
		return nil
	})
}

// service: alfa exports its web application to bravo, and a pod of bravo opens it.
func (d *demo) service(ctx context.Context) error {
	if d.alfa.Harness == nil {
		fmt.Fprintln(d.out, "         (left out: only the harness brings a web application; export one of yours with a SharedService)")
		return nil
	}
	group, ready := errgroup.WithContext(ctx)
	group.Go(func() error { return d.alfa.RunWebApp(ready) })
	group.Go(func() error { return d.bravo.RunWorkstation(ready) })
	if err := group.Wait(); err != nil {
		return err
	}
	if err := d.alfa.ExportService(ctx, console, scenario.WebApp, scenario.WebAppPort, d.bravo.Name); err != nil {
		return err
	}
	if err := d.bravo.ImportService(ctx, alfas, d.alfa.Name, console, 80); err != nil {
		return err
	}
	imported, err := d.bravo.AwaitService(ctx, alfas, func(s v1alpha1.SharedService) error {
		return scenario.All(s.Status.Conditions, s.Generation, scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionPeerAccepted, v1alpha1.ConditionAvailable)...)
	})
	if err != nil {
		return err
	}
	d.page.url = "http://" + imported.Status.Address + "/"
	return scenario.Poll(ctx, "a pod of bravo sees alfa's page", func(ctx context.Context) error {
		start := time.Now()
		text, err := d.bravo.Browse(ctx, d.page.url)
		if err != nil {
			return err
		}
		d.page.title, d.page.took = scenario.Title(text), time.Since(start)
		if d.page.title == "" {
			return fmt.Errorf("the page has no title: %.200s", text)
		}
		return nil
	})
}
