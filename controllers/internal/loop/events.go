// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/certlink/certlink/api/v1alpha1"
)

// controllerName is the reporting controller of our events.
const controllerName = "certlink.dev/operator"

// tell writes an event for each condition whose status or reason changed, and for each
// that was there while something was wrong and is there no more. What is merely not known
// yet, on the first visit, is no news, and Reconciling and Stalled say what Ready says.
//
// Events are written at once and one by one, not through a recorder: that would
// patch series of events minutes later, when nothing has changed any more. They
// are news, not state, so one that cannot be written is logged and left.
func (b Base) tell(ctx context.Context, object client.Object, before, after []metav1.Condition) {
	for _, c := range news(before, after) {
		err := b.event(ctx, object, c)
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return
		}
		if err != nil {
			log.FromContext(ctx).Error(err, "an event was lost", "condition", c.Type)
		}
	}
}

// news are the conditions that events are about; one that has ended has status False.
func news(before, after []metav1.Condition) []metav1.Condition {
	var all []metav1.Condition
	for _, c := range after {
		was := meta.FindStatusCondition(before, c.Type)
		switch {
		case c.Type == v1alpha1.ConditionReconciling || c.Type == v1alpha1.ConditionStalled:
		case was != nil && was.Status == c.Status && was.Reason == c.Reason:
		case was == nil && c.Status == metav1.ConditionUnknown:
		default:
			all = append(all, c)
		}
	}
	for _, c := range before {
		if slices.Contains(whileWrong, c.Type) && meta.FindStatusCondition(after, c.Type) == nil {
			c.Status, c.Message = metav1.ConditionFalse, "this has ended"
			all = append(all, c)
		}
	}
	return all
}

// whileWrong are the conditions that are there only while something is wrong.
var whileWrong = []string{v1alpha1.ConditionEscalating, v1alpha1.ConditionJournalDoubtful, v1alpha1.ConditionQuarantined}

func (b Base) event(ctx context.Context, object client.Object, c metav1.Condition) error {
	gvk, err := apiutil.GVKForObject(object, b.Client.Scheme())
	if err != nil {
		return fmt.Errorf("writing event: %w", err)
	}
	now := b.Now()
	return b.Client.Create(ctx, &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: object.GetNamespace(),
			Name:      fmt.Sprintf("%s.%x.%s", object.GetName(), now.UnixNano(), strings.ToLower(c.Type)),
		},
		EventTime:           metav1.NewMicroTime(now),
		ReportingController: controllerName,
		ReportingInstance:   b.Instance,
		Action:              "Observe",
		Reason:              c.Reason,
		Type:                severity(c),
		Note:                fmt.Sprintf("%s is %s: %s", c.Type, c.Status, bounded(c.Message)),
		Regarding: corev1.ObjectReference{
			APIVersion:      gvk.GroupVersion().String(),
			Kind:            gvk.Kind,
			Namespace:       object.GetNamespace(),
			Name:            object.GetName(),
			UID:             object.GetUID(),
			ResourceVersion: object.GetResourceVersion(),
		},
	})
}

// severity of a condition, by its polarity.
func severity(c metav1.Condition) string {
	if c.Type == v1alpha1.ConditionSuspended {
		return corev1.EventTypeNormal
	}
	good := metav1.ConditionTrue
	if slices.Contains(whileWrong, c.Type) {
		good = metav1.ConditionFalse
	}
	if c.Status == good {
		return corev1.EventTypeNormal
	}
	switch c.Reason {
	case v1alpha1.ReasonPending, v1alpha1.ReasonProgressing, v1alpha1.ReasonSinglePath,
		v1alpha1.ReasonDistributingRoot, v1alpha1.ReasonIssuingFromRoot, v1alpha1.ReasonRetiringRoot:
		return corev1.EventTypeNormal
	}
	return corev1.EventTypeWarning
}

// bounded cuts what does not fit into the note of an event (1 kB).
func bounded(message string) string {
	const most = 900
	if len(message) <= most {
		return message
	}
	return strings.ToValidUTF8(message[:most], "") + "..."
}
