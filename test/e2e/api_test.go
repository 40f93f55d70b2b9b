// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/test/scenario"
)

// A change of the resources is live in the relay within three seconds.
func TestAChangeIsLiveWithinThreeSeconds(t *testing.T) {
	connected(t)
	client := desk(t, alfa)
	has := func(ctx context.Context, collection string) (bool, error) {
		collections, err := client.Collections(ctx)
		return slices.ContainsFunc(collections, func(c relayclient.Collection) bool { return c.Alias == collection }), err
	}
	_, err := has(t.Context(), "") // the connection is there before the clock runs
	must(t, err)
	removeFeed(t, alfa, "live")
	for i := range 5 {
		source := fmt.Sprintf("source-%d", i)
		start := time.Now()
		must(t, alfa.Export(t.Context(), "live", v1alpha1.TLPClear, map[string]v1alpha1.TLPLevel{source: ""}, bravo.Name))
		err := scenario.Poll(within(t, patience), "the relay has the new source", func(ctx context.Context) error {
			there, err := has(ctx, "live."+source)
			if err == nil && !there {
				err = errors.New("it is not there")
			}
			return err
		})
		must(t, err)
		took := time.Since(start)
		t.Logf("change %d was live after %.2fs", i+1, took.Seconds())
		if took > 3*time.Second {
			t.Errorf("change %d took %s", i+1, took)
		}
	}
}

// auditEvent is what we read of an audit.k8s.io/v1 Event.
type auditEvent struct {
	Verb string `json:"verb"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		Resource, Namespace, Name string
	} `json:"objectRef"`
}

// operatorWrites reads the audit log from an offset, for one namespace.
func operatorWrites(t *testing.T, log, namespace string, offset int64) []string {
	t.Helper()
	file, err := os.Open(log)
	must(t, err)
	defer file.Close()
	_, err = file.Seek(offset, io.SeekStart)
	must(t, err)
	var writes []string
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var event auditEvent
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			continue // the first line may be the rest of one
		}
		if !strings.HasPrefix(event.User.Username, "system:serviceaccount:"+scenario.OperatorNamespace+":") {
			continue
		}
		switch event.Verb {
		case "create", "update", "patch", "delete", "deletecollection":
			// Leader election renews its Lease; that is no reconciling.
			// What lives in other namespaces, as the demo's CERTs, has a life of its own.
			if event.ObjectRef.Resource != "leases" && (event.ObjectRef.Namespace == "" || event.ObjectRef.Namespace == namespace) {
				writes = append(writes, fmt.Sprintf("%s %s %s/%s", event.Verb, event.ObjectRef.Resource, event.ObjectRef.Namespace, event.ObjectRef.Name))
			}
		}
	}
	must(t, lines.Err())
	return writes
}

// In steady state, with a feed and a hotline in use, the operator writes nothing.
func TestSteadyStateWritesNothing(t *testing.T) {
	connected(t)
	settled(t)
	removeFeed(t, alfa, "steady")
	removeFeed(t, bravo, "steady-from-alfa")
	must(t, alfa.Export(t.Context(), "steady", v1alpha1.TLPGreen, map[string]v1alpha1.TLPLevel{"own": ""}, bravo.Name))
	must(t, bravo.Import(t.Context(), "steady-from-alfa", alfa.Name, "steady"))
	push(t, alfa, "steady.own", scenario.Indicators("steady", "GREEN", 1)...)
	stored(t, bravo, "steady-from-alfa", 1)
	counts(t, alfa, "steady", 1, map[string]int64{})
	// A path that was down counts as up again only after a while.
	watch(t, 90*time.Second, "every path up", func(_ *scenario.Party, peer v1alpha1.PeerCERT) error {
		for _, path := range peer.Status.Paths {
			if path.State != v1alpha1.PathUp {
				return errors.New(describePaths(peer))
			}
		}
		return nil
	})
	for _, p := range []*scenario.Party{alfa, bravo} {
		quiet(t, p)
	}
	const watched = time.Minute
	err := both(within(t, watched+patience), func(ctx context.Context, p, _ *scenario.Party) error {
		var offset int64
		if p.Harness != nil {
			info, err := os.Stat(p.Harness.AuditLog())
			if err != nil {
				return err
			}
			offset = info.Size()
		}
		before, err := versions(ctx, p)
		if err != nil {
			return err
		}
		select {
		case <-time.After(watched):
		case <-ctx.Done():
			return ctx.Err()
		}
		after, err := versions(ctx, p)
		if err != nil {
			return err
		}
		for name, version := range after {
			if before[name] != version {
				t.Errorf("%s: %s changed", p.Name, name)
			}
		}
		if p.Harness != nil {
			writes := operatorWrites(t, p.Harness.AuditLog(), p.Namespace, offset)
			t.Logf("%s: %d API writes by the operator in %s (audit log), %d objects unchanged", p.Name, len(writes), watched, len(after))
			for _, write := range writes {
				t.Errorf("%s: %s", p.Name, write)
			}
			return nil
		}
		t.Logf("%s: %d objects unchanged for %s", p.Name, len(after), watched)
		return nil
	})
	must(t, err)
}

// quiet waits until nothing has changed for a moment.
func quiet(t *testing.T, p *scenario.Party) {
	t.Helper()
	var last map[string]string
	since := time.Now()
	err := scenario.Poll(within(t, patience), "nothing changes in "+p.Name, func(ctx context.Context) error {
		now, err := versions(ctx, p)
		if err != nil {
			return err
		}
		for name, version := range now {
			if last[name] != version {
				since, last = time.Now(), now
				return fmt.Errorf("%s has just changed", name)
			}
		}
		if time.Since(since) < 5*time.Second {
			return errors.New("it has been quiet for less than five seconds")
		}
		return nil
	})
	must(t, err)
}

// versions of everything that the operator may write in the party's namespace.
func versions(ctx context.Context, p *scenario.Party) (map[string]string, error) {
	all := map[string]string{}
	for kind, list := range map[string]client.ObjectList{
		"LocalCERT": &v1alpha1.LocalCERTList{}, "PeerCERT": &v1alpha1.PeerCERTList{}, "SharedFeed": &v1alpha1.SharedFeedList{}, "Hotline": &v1alpha1.HotlineList{},
		"SharedService": &v1alpha1.SharedServiceList{},
		"ConfigMap":     &corev1.ConfigMapList{}, "Service": &corev1.ServiceList{}, "Secret": &corev1.SecretList{}, "Pod": &corev1.PodList{},
	} {
		if err := p.Client.List(ctx, list, client.InNamespace(p.Namespace)); err != nil {
			return nil, err
		}
		content, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		var read struct {
			Items []struct {
				Metadata struct{ Name, ResourceVersion string }
			}
		}
		if err := json.Unmarshal(content, &read); err != nil {
			return nil, err
		}
		for _, item := range read.Items {
			if item.Metadata.Name != scenario.Workstation { // not the operator's
				all[kind+" "+item.Metadata.Name] = item.Metadata.ResourceVersion
			}
		}
	}
	return all, nil
}

// Who may get one Secret may use the desk; who may not is told what is missing.
func TestRBACOnOneSecretDecidesWhoUsesTheDesk(t *testing.T) {
	connected(t)
	clerk := "system:serviceaccount:" + alfa.Namespace + ":clerk"
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"localcerts", "hotlines"}, Verbs: []string{"get", "list"}},
		{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}},
		{APIGroups: []string{""}, Resources: []string{"pods/portforward"}, Verbs: []string{"get", "create"}},
	}
	role := &rbacv1.Role{ObjectMeta: alfa.Meta("clerk"), Rules: rules}
	must(t, alfa.Apply(t.Context(), &corev1.ServiceAccount{ObjectMeta: alfa.Meta("clerk")}))
	must(t, alfa.Apply(t.Context(), role))
	must(t, alfa.Apply(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: alfa.Meta("clerk"),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "clerk"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "clerk", Namespace: alfa.Namespace}},
	}))
	for _, args := range [][]string{
		{"hotline", "inbox"},
		{"hotline", "send", bravo.Name, "--subject", "s", "--text", "t"},
		{"feed", "list"},
	} {
		err := scenario.Poll(within(t, patience), "the refusal names Secret and verb", func(ctx context.Context) error {
			_, err := alfa.CLI(ctx, nil, append(args, "--as", clerk)...)
			if err == nil {
				t.Fatalf("%v was allowed", args)
			}
			if !strings.Contains(err.Error(), `you may not use the desk: RBAC refuses you the verb "get" on secrets "`+alfa.Name+`-desk" in namespace "`+alfa.Namespace+`"`) {
				return err
			}
			return nil
		})
		must(t, err)
	}
	role.Rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{alfa.Name + "-desk"}, Verbs: []string{"get"}})
	must(t, alfa.Apply(t.Context(), role))
	err := scenario.Poll(within(t, patience), "the clerk may use the desk", func(ctx context.Context) error {
		_, err := alfa.CLI(ctx, nil, "hotline", "inbox", "--as", clerk)
		return err
	})
	must(t, err)
	said, err := alfa.CLI(within(t, patience), nil, "hotline", "send", bravo.Name, "--subject", "s", "--text", "t", "--as", clerk, "-o", "json", "--wait", "receipt")
	must(t, err)
	var sent struct{ ID, Officer string }
	must(t, json.Unmarshal([]byte(said), &sent))
	if sent.Officer != clerk {
		t.Errorf("the message is of %q, want the user %q", sent.Officer, clerk)
	}
	_, err = bravo.CLI(within(t, patience), nil, "hotline", "ack", sent.ID)
	must(t, err)
	settled(t)
}
