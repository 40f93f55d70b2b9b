// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && nations

package nations_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/test/nations"
)

const (
	namespace = "harness-test"
	image     = "harness.test/echo:1"
	// soon bounds every wait of this test.
	soon = 90 * time.Second
)

// TestNations raises alfa and bravo, or takes them as they are, and proves what the harness promises of them. Nations
// that were up before stay up; paths are perfect afterwards.
func TestNations(t *testing.T) {
	ctx := t.Context()
	before, err := nations.Running()
	if err != nil {
		t.Fatal(err)
	}
	both, err := nations.Up(ctx, nations.Options{N: 2, Output: t.Output(), KubeconfigDir: kubeconfigs(t, before)})
	if err != nil {
		t.Fatal(err)
	}
	alfa, bravo := both[0], both[1]
	t.Cleanup(func() { cleanUp(t, before, both) })
	installWorkload(t, alfa)
	installWorkload(t, bravo)
	url := "http://" + serviceName(t, bravo)

	t.Run("a_pod_reaches_another_nation_by_name_under_the_address_of_its_node", func(t *testing.T) {
		eventually(t, "alfa reaches "+url, func() error {
			out, err := inPod(ctx, alfa, "stranger", "get", url)
			if err == nil && !strings.HasPrefix(out, alfa.Node().String()+"\n") {
				return fmt.Errorf("bravo saw the caller as %q, want %s", out, alfa.Node())
			}
			return err
		})
	})
	t.Run("an_address_of_nobody_is_refused_at_once", func(t *testing.T) {
		started := time.Now()
		if out, err := inPod(ctx, alfa, "stranger", "get", "http://198.18.0.77"); err == nil {
			t.Fatalf("a nation that does not exist answered %q", out)
		}
		if took := time.Since(started); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
	})
	t.Run("a_policy_lets_friends_in_and_refuses_strangers", func(t *testing.T) { policies(t, bravo) })
	t.Run("claims_get_volumes_and_a_bounded_one_is_no_larger", func(t *testing.T) { volumes(t, alfa) })
	t.Run("a_volume_goes_with_its_claim", func(t *testing.T) { reclaimed(t, alfa) })
	t.Run("cert_manager_issues", func(t *testing.T) {
		kubectl(t, alfa, "wait", "-n", namespace, "--for=condition=Ready", "certificate/leaf", "--timeout=60s")
	})
	t.Run("a_path_can_be_cut_in_either_direction_and_restored", func(t *testing.T) { cuts(t, alfa, bravo, url) })
	t.Run("the_path_to_one_address_can_be_cut_apart", func(t *testing.T) { apart(t, alfa, bravo) })
	t.Run("a_delay_is_added_in_each_direction", func(t *testing.T) { delays(t, alfa, url) })
	t.Run("data_flows_while_the_API_server_is_stopped", func(t *testing.T) { stopped(t, alfa, bravo, url) })
	t.Run("a_killed_container_comes_back", func(t *testing.T) { kills(t, bravo) })
	t.Run("the_audit_log_tells_who_wrote", func(t *testing.T) {
		text, err := os.ReadFile(bravo.AuditLog())
		if err != nil || !bytes.Contains(text, []byte(`"userAgent":"kubectl/`)) {
			t.Fatalf("no request of kubectl in %q: %v", bravo.AuditLog(), err)
		}
	})
	t.Run("up_repairs_a_dead_API_server_and_hub", func(t *testing.T) { repairs(t, alfa, url) })
	t.Run("a_nation_comes_back_after_a_power_cut", func(t *testing.T) { powerCut(t, alfa, url) })
	t.Run("down_leaves_nothing_even_after_a_crash", func(t *testing.T) { downLeavesNothing(t, before) })
}

// kubeconfigs keeps the files of nations that are up where they are.
func kubeconfigs(t *testing.T, before []*nations.Nation) string {
	if len(before) > 0 {
		return filepath.Dir(before[0].Kubeconfig())
	}
	return t.TempDir()
}

func cleanUp(t *testing.T, before, both []*nations.Nation) {
	ctx := context.WithoutCancel(t.Context())
	if err := nations.Restore(ctx, nil); err != nil {
		t.Error(err)
	}
	for _, n := range both {
		if t.Failed() {
			out, _ := n.Kubectl(ctx, nil, "get", "pods,services,pvc,certificates", "-A", "-o", "wide")
			t.Logf("%s at the end:\n%s", n.Name, out)
		}
		if up(before, n.Name) {
			kubectl(t, n, "delete", "namespace", namespace, "--wait=false")
		}
	}
	if len(before) > 0 {
		return
	}
	if err := nations.Down(ctx); err != nil {
		t.Error(err)
	}
	if left := remains(t, ""); len(left) > 0 {
		t.Errorf("after the last nation is down, there is still %q", left)
	}
}

func up(list []*nations.Nation, name string) bool {
	return slices.ContainsFunc(list, func(n *nations.Nation) bool { return n.Name == name })
}

func installWorkload(t *testing.T, n *nations.Nation) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "echo")
	build := exec.Command("go", "build", "-o", program, "./cmd/echo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building echo: %v: %s", err, out)
	}
	err := n.InstallImage(t.Context(), nations.Image{
		Ref: image, Files: map[string]string{program: "/echo"}, Entrypoint: []string{"/echo", "serve"}, User: "65532",
	})
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, n, "apply", "-f", "testdata/workload.yaml")
	kubectl(t, n, "wait", "-n", namespace, "--for=condition=Ready", "pods", "--all", "--timeout=60s")
}

// serviceName is the name under which every nation knows the LoadBalancer address of n's server.
func serviceName(t *testing.T, n *nations.Nation) string {
	t.Helper()
	var address string
	eventually(t, "the service has an address", func() error {
		address = kubectl(t, n, "get", "-n", namespace, "service/server", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
		if address == "" {
			return errors.New("none yet")
		}
		return nil
	})
	for i := range 9 {
		if n.LoadBalancer(i).String() != address {
			continue
		}
		if i == 0 {
			return "lb." + n.Domain()
		}
		return fmt.Sprintf("lb%d.%s", i+1, n.Domain())
	}
	t.Fatalf("address %q has no name", address)
	return ""
}

func kubectl(t *testing.T, n *nations.Nation, args ...string) string {
	t.Helper()
	out, err := n.Kubectl(context.WithoutCancel(t.Context()), nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// inPod runs the echo program in a pod through the API server, or straight on the node when that is stopped.
func inPod(ctx context.Context, n *nations.Nation, pod string, args ...string) (string, error) {
	out, err := n.Kubectl(ctx, nil, append([]string{"exec", "-n", namespace, pod, "--", "/echo"}, args...)...)
	return string(out), err
}

func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(soon)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, soon, err)
		}
		<-time.After(100 * time.Millisecond)
	}
}

func never(what string, err error) error {
	if err == nil {
		return errors.New(what)
	}
	return nil
}
