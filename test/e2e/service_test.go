// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/test/scenario"
)

// removeService deletes a SharedService after the test.
func removeService(t *testing.T, p *scenario.Party, name string) {
	t.Helper()
	cleanup(t, func(ctx context.Context) error {
		return p.Client.Delete(ctx, &v1alpha1.SharedService{ObjectMeta: p.Meta(name)})
	})
}

// usable waits until a SharedService can be used as far as its side can see.
func usable(t *testing.T, p *scenario.Party, name string) v1alpha1.SharedService {
	t.Helper()
	service, err := p.AwaitService(within(t, patience), name, func(s v1alpha1.SharedService) error {
		return scenario.All(s.Status.Conditions, s.Generation,
			scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionPeerAccepted, v1alpha1.ConditionAvailable)...)
	})
	must(t, err)
	return service
}

// fetch gets a page from a Service as a process on the node would.
func fetch(ctx context.Context, p *scenario.Party, service, path string) ([]byte, error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dialService(ctx, p, service) },
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+service+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the answer is %s", resp.Status)
	}
	return page, err
}

// A web application of alfa is opened from a pod of bravo, whole.
func TestAWebApplicationIsShared(t *testing.T) {
	if !needsHarness(t, "running a web application") {
		return
	}
	connected(t)
	ctx := within(t, 3*time.Minute)
	must(t, alfa.RunWebApp(ctx))
	removeService(t, alfa, "console")
	removeService(t, bravo, "alfas-console")
	must(t, alfa.ExportService(ctx, "console", scenario.WebApp, scenario.WebAppPort, bravo.Name))
	must(t, bravo.ImportService(ctx, "alfas-console", alfa.Name, "console", 80))
	service := usable(t, bravo, "alfas-console")
	usable(t, alfa, "console")
	start := time.Now()
	page := ""
	err := scenario.Poll(within(t, patience), "a pod of bravo gets the page", func(ctx context.Context) (err error) {
		page, err = bravo.Browse(ctx, "http://"+service.Status.Address+"/")
		return err
	})
	must(t, err)
	t.Logf("%s is %q in a pod of bravo, %.2fs after it was usable", service.Status.Address, scenario.Title(page), time.Since(start).Seconds())
	if scenario.Title(page) != "Alertmanager" {
		t.Errorf("the page is %.300s", page)
	}
	want, err := fetch(ctx, alfa, scenario.WebApp, "/script.js")
	must(t, err)
	got, err := fetch(ctx, bravo, "alfas-console", "/script.js")
	must(t, err)
	if !bytes.Equal(want, got) || len(got) < 100_000 {
		t.Errorf("the script has %d bytes in bravo and %d in alfa", len(got), len(want))
	}
}

// Each direction of a tunnel ends on its own, and nothing is lost before.
func TestATunnelEndsEachDirectionOnItsOwn(t *testing.T) {
	if !needsHarness(t, "services") {
		return
	}
	connected(t)
	conn, err := dialService(within(t, patience), bravo, echoOf(alfa))
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	sent := make([]byte, 4<<20)
	_, err = rand.Read(sent)
	must(t, err)
	written := make(chan error, 1)
	go func() {
		_, err := conn.Write(sent)
		half, ok := conn.(interface{ CloseWrite() error })
		if !ok {
			err = errors.New("the connection cannot be closed half")
		}
		if err == nil {
			err = half.CloseWrite()
		}
		written <- err
	}()
	got, err := io.ReadAll(conn)
	must(t, err)
	must(t, <-written)
	if !bytes.Equal(sent, got) {
		t.Errorf("of %d bytes %d came back, or other ones", len(sent), len(got))
	}
}

// What is not exported to a peer does not exist for it; the exporter counts who
// asks.
func TestAServiceForOthersIsRefused(t *testing.T) {
	if !needsHarness(t, "services") {
		return
	}
	connected(t)
	addPeer(t, "charlie", "charlie.example", testca.New(t, "charlie.example").Bundle(), "")
	removeService(t, alfa, "closed")
	removeService(t, bravo, "alfas-closed")
	must(t, alfa.ExportService(t.Context(), "closed", scenario.Echo, scenario.EchoPort, "charlie"))
	must(t, bravo.ImportService(t.Context(), "alfas-closed", alfa.Name, "closed", scenario.EchoPort))
	_, err := bravo.AwaitService(within(t, patience), "alfas-closed", func(s v1alpha1.SharedService) error {
		return scenario.All(s.Status.Conditions, s.Generation,
			scenario.Want{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue},
			scenario.Want{Type: v1alpha1.ConditionPeerAccepted, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNotOffered},
			scenario.Want{Type: v1alpha1.ConditionAvailable, Status: metav1.ConditionFalse})
	})
	must(t, err)
	_, err = alfa.AwaitService(within(t, patience), "closed", func(s v1alpha1.SharedService) error {
		if err := refused(within(t, patience), bravo, "alfas-closed"); err != nil {
			return err
		}
		if scenario.Number(s.Status.Refused) < 1 {
			return fmt.Errorf("%d refusals are counted", scenario.Number(s.Status.Refused))
		}
		return nil
	})
	must(t, err)
}

// refused tries a service and says so if it answers.
func refused(ctx context.Context, p *scenario.Party, service string) error {
	conn, err := dialService(ctx, p, service)
	if err != nil {
		return nil // refused before it began
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("hello\n")); err != nil {
		return nil // refused
	}
	if n, err := conn.Read(make([]byte, 64)); err == nil {
		return fmt.Errorf("%s of %s answered %d bytes", service, p.Name, n)
	} else if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%s of %s neither answered nor refused", service, p.Name)
	}
	return nil
}
