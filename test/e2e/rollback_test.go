// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
	wire "github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/test/scenario"
)

// scaled sets the number of a workload's pods, as kubectl scale does, and waits for it.
func scaled(t *testing.T, p *scenario.Party, namespace, workload string, to int, none string) {
	t.Helper()
	_, err := p.Kubectl(t.Context(), "--namespace", namespace, "scale", workload, fmt.Sprintf("--replicas=%d", to))
	must(t, err)
	if to > 0 {
		return
	}
	must(t, scenario.Poll(within(t, patience), workload+" of "+p.Name+" is stopped", func(ctx context.Context) error {
		var pods corev1.PodList
		if err := p.Client.List(ctx, &pods, client.InNamespace(namespace)); err != nil {
			return err
		}
		for _, pod := range pods.Items {
			if strings.HasPrefix(pod.Name, none) {
				return fmt.Errorf("pod %s is %s", pod.Name, pod.Status.Phase)
			}
		}
		return nil
	}))
}

// stopped does something to a relay's volume while the relay does not run: the operator
// is stopped first, or it would start the relay again. Both run afterwards.
func stopped(t *testing.T, p *scenario.Party, do func(dir string)) {
	t.Helper()
	var claim corev1.PersistentVolumeClaim
	must(t, p.Client.Get(t.Context(), p.Key("data-"+p.Relay()), &claim))
	var pv corev1.PersistentVolume
	must(t, p.Client.Get(t.Context(), p.Key(claim.Spec.VolumeName), &pv))
	if pv.Spec.Local == nil {
		t.Fatalf("the volume of %s is no directory of its node", p.Name)
	}
	const operator = "deployment/certlink-operator"
	scaled(t, p, scenario.OperatorNamespace, operator, 0, "certlink-operator")
	scaled(t, p, p.Namespace, "statefulset/"+p.Name+"-relay", 0, p.Relay())
	do(pv.Spec.Local.Path)
	scaled(t, p, p.Namespace, "statefulset/"+p.Name+"-relay", 1, "")
	scaled(t, p, scenario.OperatorNamespace, operator, 1, "")
	must(t, scenario.Poll(within(t, patience), "the relay of "+p.Name+" runs again", func(ctx context.Context) error {
		var set appsv1.StatefulSet
		if err := p.Client.Get(ctx, p.Key(p.Name+"-relay"), &set); err != nil {
			return err
		}
		if set.Status.ReadyReplicas != 1 {
			return fmt.Errorf("its StatefulSet is %+v", set.Status)
		}
		return nil
	}))
}

// sends has n messages stored by a relay and returns their ids.
func sends(t *testing.T, from, to *scenario.Party, n int) (ids []string) {
	t.Helper()
	client := desk(t, from)
	for range n {
		ids = append(ids, ulid.Make().String())
	}
	must(t, sendAll(within(t, patience), client, to.Name, ids, func(int) {}))
	return ids
}

// receipted waits until every message has its receipt, and is received once, in order.
func receipted(t *testing.T, from, to *scenario.Party, ids []string) {
	t.Helper()
	sender, receiver := desk(t, from), desk(t, to)
	must(t, scenario.Poll(within(t, time.Minute), "the messages of "+from.Name+" have their receipts", func(ctx context.Context) error {
		for _, id := range ids {
			m, err := sender.Get(ctx, relayclient.Out, to.TrustDomain, id)
			if err == nil && m.Receipt == "" {
				err = fmt.Errorf("message %s is %s", id, m.State)
			}
			if err != nil {
				return err
			}
		}
		return receivedOnce(ctx, receiver, ids)
	}))
}

// acknowledged reads messages at the other side, so that nothing stays open.
func acknowledged(t *testing.T, from, to *scenario.Party, ids []string) {
	t.Helper()
	receiver := desk(t, to)
	for _, id := range ids {
		_, err := receiver.Acknowledge(within(t, patience), from.TrustDomain, id, wire.AckRequest{Officer: "e2e"})
		must(t, err)
	}
}

// doubts waits until p names, in every way in which people look, what it thinks of the
// journals between itself and other: condition, event, metric and kubectl certlink.
func doubts(t *testing.T, p, other *scenario.Party, reason string) {
	t.Helper()
	h, err := p.AwaitHotline(within(t, patience), other.Name, func(h v1alpha1.Hotline) error {
		return scenario.All(h.Status.Conditions, h.Generation, scenario.Want{Type: v1alpha1.ConditionJournalDoubtful, Status: metav1.ConditionTrue, Reason: reason})
	})
	must(t, err)
	t.Logf("%s says: %s", p.Name, apimeta.FindStatusCondition(h.Status.Conditions, v1alpha1.ConditionJournalDoubtful).Message)
	must(t, scenario.Poll(within(t, patience), "an event of "+p.Name+" tells of "+reason, func(ctx context.Context) error {
		var list eventsv1.EventList
		if err := p.Client.List(ctx, &list, client.InNamespace(p.Namespace)); err != nil {
			return err
		}
		if !slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool { return e.Regarding.Kind == "Hotline" && e.Reason == reason }) {
			return errors.New("there is none")
		}
		return nil
	}))
	must(t, scenario.Poll(within(t, patience), "a metric of "+p.Name+" tells of it", func(ctx context.Context) error {
		return hasMetric(ctx, p, `certlink_relay_hotline_journal_doubtful{hotline="`+other.Name+`"} 1`)
	}))
	said, err := p.CLI(within(t, patience), nil, "status")
	must(t, err)
	if !strings.Contains(said, "journal in doubt: "+reason) {
		t.Errorf("kubectl certlink status of %s does not tell of it:\n%s", p.Name, said)
	}
}

// hasMetric looks for a line among the metrics of the relay's first pod.
func hasMetric(ctx context.Context, p *scenario.Party, want string) error {
	var pod corev1.Pod
	if err := p.Client.Get(ctx, p.Key(p.Relay()), &pod); err != nil {
		return err
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: p.Harness.DialContext}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(pod.Status.PodIP, "8080")+"/metrics", nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err == nil && !strings.Contains(string(text), want+"\n") {
		err = fmt.Errorf("there is no %s", want)
	}
	return err
}

func removed(ctx context.Context, p *scenario.Party, dir string) error {
	_, err := p.Harness.Exec(ctx, "rm", "-rf", dir)
	return err
}

// A relay's volume is set back to a backup, with messages of both sides delivered since,
// and more on their way. Both sides name it; what the other side holds comes back; what
// waits is delivered, once and in order; and the journals of both are whole.
func aDatabaseThatIsSetBackRecovers(t *testing.T, delta, golf *scenario.Party) {
	cleanup(t, func(ctx context.Context) error {
		_, err := golf.Kubectl(ctx, "--namespace", scenario.OperatorNamespace, "scale", "deployment/certlink-operator", "--replicas=1")
		return err
	})
	ofGolf, ofDelta := sends(t, golf, delta, 3), sends(t, delta, golf, 3)
	receipted(t, golf, delta, ofGolf)
	receipted(t, delta, golf, ofDelta)
	copyOf := func(from, to string) {
		_, err := golf.Harness.Exec(t.Context(), "cp", "-a", from, to)
		must(t, err)
	}
	var backup string
	stopped(t, golf, func(dir string) {
		backup = path.Join(path.Dir(dir), "backup-of-golf")
		cleanup(t, func(ctx context.Context) error { return removed(ctx, golf, backup) })
		must(t, removed(t.Context(), golf, backup)) // that of a run that was killed
		copyOf(dir, backup)
	})
	ofGolf, ofDelta = append(ofGolf, sends(t, golf, delta, 4)...), append(ofDelta, sends(t, delta, golf, 5)...)
	receipted(t, golf, delta, ofGolf)
	receipted(t, delta, golf, ofDelta)

	stopped(t, golf, func(dir string) {
		_, err := golf.Harness.Exec(t.Context(), "find", dir, "-mindepth", "1", "-delete")
		must(t, err)
		copyOf(backup+"/.", dir)
		ofDelta = append(ofDelta, sends(t, delta, golf, 2)...)
	})
	start := time.Now()
	ofGolf = append(ofGolf, sends(t, golf, delta, 2)...)
	doubts(t, golf, delta, v1alpha1.ReasonJournalRolledBack)
	doubts(t, delta, golf, v1alpha1.ReasonPeerJournalRolledBack)
	receipted(t, golf, delta, ofGolf)
	receipted(t, delta, golf, ofDelta)
	t.Logf("named on both sides, and everything is delivered again %.1fs after the restore", time.Since(start).Seconds())
	acknowledged(t, golf, delta, ofGolf)
	acknowledged(t, delta, golf, ofDelta)
	journalsWhole(t, delta, golf)
	crosses(t, delta, golf)
	crosses(t, golf, delta)
	hotlinesWell(t, delta, golf)
	// Who looks for a week still sees it.
	doubts(t, golf, delta, v1alpha1.ReasonJournalRolledBack)
}
