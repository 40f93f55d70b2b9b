// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && nations

package nations_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/certlink/certlink/test/nations"
	"github.com/certlink/certlink/test/nations/internal/boot"
	"github.com/certlink/certlink/test/nations/internal/layout"
)

func policies(t *testing.T, n *nations.Nation) {
	ctx, service := t.Context(), "http://server."+namespace
	eventually(t, "a friend is let in", func() error {
		_, err := inPod(ctx, n, "friend", "get", service)
		return err
	})
	eventually(t, "a stranger is refused", func() error {
		_, err := inPod(ctx, n, "stranger", "get", service)
		return never("it was let in", err)
	})
	if _, err := inPod(ctx, n, "friend", "get", service); err != nil {
		t.Errorf("the friend was shut out with the stranger: %v", err)
	}
}

func volumes(t *testing.T, n *nations.Nation) {
	ctx := t.Context()
	if out, err := inPod(ctx, n, "friend", "write", "/disk/file", "2000000"); err != nil {
		t.Errorf("writing to a standard volume: %v %s", err, out)
	}
	if out, err := inPod(ctx, n, "friend", "write", "/small/file", "500000"); err != nil {
		t.Errorf("writing to a bounded volume: %v %s", err, out)
	}
	_, err := inPod(ctx, n, "friend", "write", "/small/file", "2000000")
	if err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("writing 2 MB to a volume of 1 MiB: got %v, want no space left", err)
	}
}

// reclaimed deletes a claim and waits until its volume is gone, object and directory.
func reclaimed(t *testing.T, n *nations.Nation) {
	volume := kubectl(t, n, "get", "-n", namespace, "pvc/spare", "-o", "jsonpath={.spec.volumeName}")
	directory := filepath.Join(stateDir(t), n.Name, "volumes", volume)
	if _, err := os.Stat(directory); volume == "" || err != nil {
		t.Fatalf("the claim has no volume %q: %v", volume, err)
	}
	kubectl(t, n, "delete", "-n", namespace, "pvc/spare")
	eventually(t, "the volume is removed", func() error {
		if _, err := n.Kubectl(t.Context(), nil, "get", "pv", volume); err == nil {
			return errors.New("the object is still there")
		}
		return nil
	})
	if _, err := os.Stat(directory); err == nil {
		t.Errorf("the directory %q outlives the volume", directory)
	}
}

func cuts(t *testing.T, alfa, bravo *nations.Nation, url string) {
	ctx := t.Context()
	for _, way := range []struct {
		name       string
		directions []nations.Direction
	}{
		{"both", nations.Both(alfa.Name, bravo.Name)},
		{"alfa to bravo", nations.OneWay(alfa.Name, bravo.Name)},
		{"bravo to alfa", nations.OneWay(bravo.Name, alfa.Name)},
	} {
		if err := nations.Cut(ctx, way.directions); err != nil {
			t.Fatal(err)
		}
		if out, err := inPod(ctx, alfa, "stranger", "get", url); err == nil {
			t.Errorf("cut %s: bravo answered %q", way.name, out)
		}
		if err := nations.Restore(ctx, way.directions); err != nil {
			t.Fatal(err)
		}
		if out, err := inPod(ctx, alfa, "stranger", "get", url); err != nil {
			t.Errorf("cut %s and restored: %v %s", way.name, err, out)
		}
	}
	if err := nations.Cut(ctx, nations.OneWay("alfa", "nowhere")); err == nil {
		t.Error("a path to nowhere was cut")
	}
}

// apart cuts the path to one of the two addresses of bravo's server.
func apart(t *testing.T, alfa, bravo *nations.Nation) {
	ctx := t.Context()
	addresses := strings.Fields(kubectl(t, bravo, "get", "-n", namespace, "service/server", "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}"))
	if len(addresses) != 2 {
		t.Fatalf("the service has the addresses %v, want two", addresses)
	}
	answers := func(address string) bool {
		_, err := inPod(ctx, alfa, "stranger", "get", "http://"+address)
		return err == nil
	}
	second := nations.Direction{From: alfa.Name, To: bravo.Name, ToAddress: netip.MustParseAddr(addresses[1])}
	for name, cut := range map[string][]nations.Direction{
		"both":     nations.Around(second),
		"there":    {second},
		"and back": nations.Around(second)[1:],
	} {
		if err := nations.Cut(ctx, cut); err != nil {
			t.Fatal(err)
		}
		if !answers(addresses[0]) {
			t.Errorf("cut %s: %s is cut, too", name, addresses[0])
		}
		if answers(addresses[1]) {
			t.Errorf("cut %s: %s answers", name, addresses[1])
		}
		// The directions between the nations take those of the address along.
		if err := nations.Restore(ctx, nations.Both(alfa.Name, bravo.Name)); err != nil {
			t.Fatal(err)
		}
		if !answers(addresses[1]) {
			t.Errorf("cut %s and restored: %s does not answer", name, addresses[1])
		}
	}
	foreign := nations.Direction{From: alfa.Name, To: bravo.Name, ToAddress: alfa.LoadBalancer(0)}
	if err := nations.Cut(ctx, []nations.Direction{foreign}); err == nil {
		t.Error("a path to an address of another nation was cut")
	}
}

// delays measures from alfa's node, so that nothing but the path takes long.
func delays(t *testing.T, alfa *nations.Nation, url string) {
	const by = 100 * time.Millisecond
	measure := func() time.Duration {
		out, err := inPod(t.Context(), alfa, "stranger", "get", url)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		took, err := time.ParseDuration(lines[len(lines)-1])
		if err != nil {
			t.Fatal(err)
		}
		return took
	}
	near := measure()
	if err := nations.Delay(t.Context(), by, nations.Both("alfa", "bravo")); err != nil {
		t.Fatal(err)
	}
	far := measure()
	if err := nations.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	// A handshake and an exchange are two round trips.
	if added := far - near; added < 4*by-20*time.Millisecond || added > 4*by+time.Second {
		t.Errorf("with %s in each direction an exchange took %s, without %s: want %s more", by, far, near, 4*by)
	}
}

func stopped(t *testing.T, alfa, bravo *nations.Nation, url string) {
	ctx := t.Context()
	address := kubectl(t, bravo, "get", "-n", namespace, "service/server", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	if err := bravo.StopAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := bravo.Kubectl(ctx, nil, "get", "--raw", "/readyz", "--request-timeout=5s"); err == nil {
		t.Error("the API server answers although it was stopped")
	}
	if _, err := inPod(ctx, alfa, "stranger", "get", url); err != nil {
		t.Errorf("bravo's service, with its API server stopped: %v", err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: alfa.DialContext}, Timeout: soon}
	response, err := client.Get("http://" + net.JoinHostPort(address, "80"))
	if err != nil {
		t.Errorf("the same, dialled from here: %v", err)
	} else {
		_ = response.Body.Close()
	}
	if err := bravo.StartAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
}

func kills(t *testing.T, n *nations.Nation) {
	ctx := t.Context()
	if err := n.KillPod(ctx, namespace, "nobody", ""); !errors.Is(err, nations.ErrNoContainer) {
		t.Errorf("killing a pod that is not there: got %v, want %v", err, nations.ErrNoContainer)
	}
	if err := n.KillPod(ctx, namespace, "friend", "echo"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the container is killed and comes back", func() error {
		got := kubectl(t, n, "get", "-n", namespace, "pod/friend", "-o",
			"jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].lastState.terminated.exitCode} {.status.containerStatuses[0].ready}")
		if got != "1 137 true" {
			return fmt.Errorf("restarts, exit code and readiness are %q, want 1 137 true", got)
		}
		return nil
	})
}

// killProcess ends a process of the harness as a crash would.
func killProcess(t *testing.T, marks ...string) {
	t.Helper()
	pids := processes(t, marks...)
	if len(pids) != 1 {
		t.Fatalf("%d processes look like %q, want 1", len(pids), marks)
	}
	if err := unix.Kill(pids[0], unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// processes finds processes whose command line contains all marks.
func processes(t *testing.T, marks ...string) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
next:
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		for _, mark := range marks {
			if !strings.Contains(string(line), mark) {
				continue next
			}
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func stateDir(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(cache, "certlink", "run")
}

func upAgain(t *testing.T, n *nations.Nation) {
	t.Helper()
	_, err := nations.Up(t.Context(), nations.Options{N: 2, Output: t.Output(), KubeconfigDir: filepath.Dir(n.Kubeconfig())})
	if err != nil {
		t.Fatal(err)
	}
}

func reaches(t *testing.T, n *nations.Nation, url string) {
	t.Helper()
	eventually(t, n.Name+" reaches "+url, func() error {
		_, err := inPod(t.Context(), n, "stranger", "get", url)
		return err
	})
}

func repairs(t *testing.T, alfa *nations.Nation, url string) {
	state := stateDir(t)
	killProcess(t, "kube-apiserver\x00", state+"/alfa/pki/ca.crt")
	killProcess(t, "nations-hub\x00"+state)
	upAgain(t, alfa)
	reaches(t, alfa, url)
}

func powerCut(t *testing.T, alfa *nations.Nation, url string) {
	state := stateDir(t)
	killProcess(t, "nation-init\x00"+state+"/alfa\x00")
	upAgain(t, alfa)
	reaches(t, alfa, url)
}

// downLeavesNothing tries it on charlie, so that nations that were up before stay up.
func downLeavesNothing(t *testing.T, before []*nations.Nation) {
	ctx := t.Context()
	if up(before, "charlie") {
		t.Log("charlie was up before: it is left alone, and what is left after down is looked at on a machine without it")
		return
	}
	if _, err := nations.Up(ctx, nations.Options{Names: []string{"charlie"}, Output: t.Output(), KubeconfigDir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	killProcess(t, "nation-init\x00"+stateDir(t)+"/charlie\x00")
	if err := nations.Down(ctx, "charlie"); err != nil {
		t.Fatal(err)
	}
	if left := remains(t, "charlie"); len(left) > 0 {
		t.Errorf("after charlie is down, there is still %q", left)
	}
	if err := nations.Down(context.WithoutCancel(ctx), "charlie"); err != nil {
		t.Errorf("down again: %v", err)
	}
}

// remains lists what is left of a nation, or of all if name is empty: processes, mounts, control groups, files.
func remains(t *testing.T, name string) []string {
	t.Helper()
	dir := filepath.Join(stateDir(t), name)
	var left []string
	for _, pid := range processes(t, dir) {
		if pid != os.Getpid() {
			left = append(left, fmt.Sprintf("process %d", pid))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir) {
			left = append(left, "mount "+line)
		}
	}
	for _, nation := range nations.Names() {
		if name != "" && nation != name {
			continue
		}
		groups, err := boot.Cgroups(layout.Dirs(filepath.Join(stateDir(t), nation)))
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, groups...)
	}
	if _, err := os.Stat(dir); err == nil {
		left = append(left, dir)
	}
	return left
}
