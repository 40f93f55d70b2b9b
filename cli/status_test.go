// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
)

func condition(name string, status metav1.ConditionStatus, ago time.Duration, reason, message string) metav1.Condition {
	return metav1.Condition{Type: name, Status: status, ObservedGeneration: 1, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(noon.Add(-ago))}
}

func yesTo(names ...string) []metav1.Condition {
	conditions := make([]metav1.Condition, 0, len(names))
	for _, name := range names {
		conditions = append(conditions, condition(name, metav1.ConditionTrue, time.Hour, "Fine", ""))
	}
	return conditions
}

func TestJudge(t *testing.T) {
	late := condition("B", metav1.ConditionFalse, time.Minute, "Late", "bravo is late")
	unknown := condition("A", metav1.ConditionUnknown, time.Second, "Blind", "")
	stalled := condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, 2*time.Minute, "PeerNotFound", "no bravo")
	for name, test := range map[string]struct {
		generation int64
		conditions []metav1.Condition
		verdict    well
		ago        time.Duration
		why        string
	}{
		"all_true_is_well":                       {1, yesTo("A", "B"), wellYes, time.Hour, ""},
		"one_false_is_not":                       {1, append(yesTo("A"), late), wellNo, time.Minute, "B is False, Late: bravo is late"},
		"false_is_worse_than_unknown":            {1, []metav1.Condition{unknown, late}, wellNo, time.Minute, "B is False, Late: bravo is late"},
		"unknown_is_unknown":                     {1, append(yesTo("B"), unknown), wellUnknown, time.Second, "A is Unknown, Blind"},
		"an_absent_condition_is_unknown":         {1, yesTo("A"), wellUnknown, 0, "B is not known: the operator has not looked yet"},
		"what_is_about_an_older_spec_is_unknown": {2, yesTo("A", "B"), wellUnknown, time.Hour, "A is about an older spec: the operator has not looked yet"},
		"stalled_comes_first":                    {1, append(yesTo("A"), late, stalled), wellNo, 2 * time.Minute, "Stalled is True, PeerNotFound: no bravo"},
	} {
		t.Run(name, func(t *testing.T) {
			verdict, since, why := judge(test.generation, test.conditions, "A", "B")
			if verdict != test.verdict || why != test.why {
				t.Errorf("got %s %q, want %s %q", verdict, why, test.verdict, test.why)
			}
			if test.ago != 0 && !since.Time.Equal(noon.Add(-test.ago)) {
				t.Errorf("since %s, want %s ago", since, test.ago)
			}
		})
	}
}

func sampleState() state {
	cert := local("alfa", time.Hour)
	cert.Status.Addresses = []string{"relay.alfa.example:8443"}
	cert.Status.Conditions = yesTo(v1alpha1.ConditionReady, v1alpha1.ConditionCertificatesIssued, v1alpha1.ConditionRelayAvailable)
	peer := func(name string, state v1alpha1.PeerState, conditions ...metav1.Condition) v1alpha1.PeerCERT {
		return v1alpha1.PeerCERT{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "duty"},
			Spec:       v1alpha1.PeerCERTSpec{Identity: v1alpha1.Identity{TrustDomain: name + ".example"}, State: state},
			Status:     v1alpha1.PeerCERTStatus{Conditions: conditions, TLS: &v1alpha1.PeerTLS{Version: "TLS 1.3", Group: "X25519MLKEM768"}},
		}
	}
	stored, shared, held := int64(832), int64(820), int64(12)
	export := v1alpha1.SharedFeed{
		ObjectMeta: metav1.ObjectMeta{Name: "threats"},
		Spec:       v1alpha1.SharedFeedSpec{Direction: v1alpha1.FeedExport},
		Status: v1alpha1.SharedFeedStatus{
			Stored: &stored, Shared: &shared, Held: &held,
			HeldReasons: []v1alpha1.HeldCount{{Reason: "TLPAboveCeiling: RED", Objects: &held}},
			Conditions:  yesTo(v1alpha1.ConditionReady, v1alpha1.ConditionDelivering, v1alpha1.ConditionFresh),
		},
	}
	hotline := v1alpha1.Hotline{
		ObjectMeta: metav1.ObjectMeta{Name: "bravo"},
		Spec:       v1alpha1.HotlineSpec{PeerRef: v1alpha1.PeerReference{Name: "bravo"}},
		Status: v1alpha1.HotlineStatus{Conditions: append(yesTo(v1alpha1.ConditionReady, v1alpha1.ConditionAnswered),
			condition(v1alpha1.ConditionReachable, metav1.ConditionFalse, 90*time.Second, "ReceiptOverdue", "1 message waits for bravo's receipt:\nlook at the link"))},
	}
	ten := int64(10)
	misp := v1alpha1.SharedService{
		ObjectMeta: metav1.ObjectMeta{Name: "misp"},
		Spec:       v1alpha1.SharedServiceSpec{Direction: v1alpha1.ServiceExport},
		Status: v1alpha1.SharedServiceStatus{
			Peers: "bravo,charlie", Address: "misp.duty.svc:443", Refused: &ten,
			Conditions: append(yesTo(v1alpha1.ConditionReady, v1alpha1.ConditionAvailable),
				condition(v1alpha1.ConditionPeerAccepted, metav1.ConditionFalse, time.Minute, "NotOffered", "charlie: no import of our service")),
		},
	}
	tickets := v1alpha1.SharedService{
		ObjectMeta: metav1.ObjectMeta{Name: "tickets"},
		Spec:       v1alpha1.SharedServiceSpec{Direction: v1alpha1.ServiceImport},
		Status: v1alpha1.SharedServiceStatus{
			Peers: "bravo", Address: "tickets.duty.svc:443", RelayPort: 20007,
			Conditions: yesTo(v1alpha1.ConditionReady, v1alpha1.ConditionAvailable, v1alpha1.ConditionPeerAccepted),
		},
	}
	return state{
		locals: []v1alpha1.LocalCERT{*cert},
		peers: []v1alpha1.PeerCERT{
			peer("bravo", v1alpha1.PeerActive, yesTo(v1alpha1.ConditionReady, v1alpha1.ConditionConnected)...),
			peer("charlie", v1alpha1.PeerRevoked, yesTo(v1alpha1.ConditionReady, v1alpha1.ConditionSuspended)...),
		},
		feeds:    []v1alpha1.SharedFeed{export, {ObjectMeta: metav1.ObjectMeta{Name: "from-bravo"}, Spec: v1alpha1.SharedFeedSpec{Direction: v1alpha1.FeedImport}}},
		services: []v1alpha1.SharedService{misp, tickets, {ObjectMeta: metav1.ObjectMeta{Name: "new"}, Spec: v1alpha1.SharedServiceSpec{Direction: v1alpha1.ServiceImport}}},
		hotlines: []v1alpha1.Hotline{hotline},
	}
}

func TestAPeerIsNotWellWhenItSaysNo(t *testing.T) {
	line := func(state v1alpha1.PeerState, conditions ...metav1.Condition) line {
		p := v1alpha1.PeerCERT{Spec: v1alpha1.PeerCERTSpec{State: state}}
		p.Status.Conditions = append(yesTo(v1alpha1.ConditionReady, v1alpha1.ConditionConnected), conditions...)
		return peerLine(p)
	}
	no := func(name, reason string) metav1.Condition {
		return condition(name, metav1.ConditionFalse, time.Minute, reason, "words")
	}
	if l := line("Active", condition(v1alpha1.ConditionPeerAccepted, metav1.ConditionUnknown, time.Minute, v1alpha1.ReasonNoOffer, "none")); l.Well != wellYes {
		t.Errorf("a partner without certlink: %+v", l)
	}
	if l := line("Active", no(v1alpha1.ConditionPeerAccepted, v1alpha1.ReasonPeerSuspendedUs)); l.Well != wellNo || !strings.Contains(l.Why, "PeerSuspendedUs") {
		t.Errorf("a peer that suspended us: %+v", l)
	}
	if l := line("Active", no(v1alpha1.ConditionTrustInSync, v1alpha1.ReasonBundleOffered)); l.Well != wellNo || !strings.Contains(l.Why, "BundleOffered") {
		t.Errorf("a bundle that waits: %+v", l)
	}
	if l := line("Drained", no(v1alpha1.ConditionRedundant, v1alpha1.ReasonPathDown)); l.Well != wellYes || !strings.Contains(l.What, "drained, on its last path") {
		t.Errorf("a link on its last path: %+v", l)
	}
}

func TestAFeedThatThePeerDoesNotTakeIsNotWell(t *testing.T) {
	var f v1alpha1.SharedFeed
	f.Spec.Direction = v1alpha1.FeedExport
	of := func(status metav1.ConditionStatus, reason string) line {
		f.Status.Conditions = append(yesTo(v1alpha1.ConditionReady, v1alpha1.ConditionDelivering, v1alpha1.ConditionFresh),
			condition(v1alpha1.ConditionPeerAccepted, status, time.Minute, reason, "words"))
		return feedLine(f)
	}
	if l := of(metav1.ConditionFalse, v1alpha1.ReasonNotOffered); l.Well != wellNo || !strings.Contains(l.Why, "NotOffered") {
		t.Errorf("nobody there has declared it: %+v", l)
	}
	if l := of(metav1.ConditionUnknown, v1alpha1.ReasonNoOffer); l.Well != wellYes {
		t.Errorf("a partner without certlink: %+v", l)
	}
}

func TestAHotlineTellsWhatItsConditionsDoNotJudge(t *testing.T) {
	drafts := int64(2)
	h := v1alpha1.Hotline{Status: v1alpha1.HotlineStatus{
		Drafts: &drafts,
		Conditions: append(yesTo(v1alpha1.ConditionReady, v1alpha1.ConditionReachable, v1alpha1.ConditionAnswered),
			condition(v1alpha1.ConditionEscalating, metav1.ConditionTrue, time.Minute, v1alpha1.ReasonInboxEscalated, "words"),
			condition(v1alpha1.ConditionLineChecked, metav1.ConditionFalse, time.Minute, v1alpha1.ReasonCheckUnanswered, "words")),
	}}
	h.Spec.PeerRef.Name = "bravo"
	const want = "to bravo, ? to read, 2 to release, escalating: InboxEscalated, line checks: CheckUnanswered"
	if l := hotlineLine(h); l.Well != wellYes || l.What != want {
		t.Errorf("got %+v, want %q", l, want)
	}
	h.Status.Conditions[4].Status = metav1.ConditionUnknown
	if l := hotlineLine(h); strings.Contains(l.What, "line checks") {
		t.Errorf("checks that nobody has made yet: %+v", l)
	}
}

func TestARootThatIsReplacedIsTold(t *testing.T) {
	cert := local("alfa", time.Hour)
	if l := localLine(*cert); strings.Contains(l.What, "root") {
		t.Errorf("without a rotation: %+v", l)
	}
	cert.Status.Rotation = &v1alpha1.RotationStatus{Step: v1alpha1.StepIssue}
	if l := localLine(*cert); !strings.HasSuffix(l.What, ", replacing our root: Issue") {
		t.Errorf("during one: %+v", l)
	}
}

func TestAHotlineWhoseJournalIsInDoubtSaysSo(t *testing.T) {
	var h v1alpha1.Hotline
	h.Spec.PeerRef.Name = "bravo"
	for _, name := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReachable, v1alpha1.ConditionAnswered} {
		h.Status.Conditions = append(h.Status.Conditions, condition(name, metav1.ConditionTrue, time.Hour, "Well", ""))
	}
	if l := hotlineLine(h); strings.Contains(l.What, "journal") {
		t.Errorf("without doubt: %+v", l)
	}
	h.Status.Conditions = append(h.Status.Conditions,
		condition(v1alpha1.ConditionJournalDoubtful, metav1.ConditionTrue, time.Minute, v1alpha1.ReasonPeerJournalRolledBack, "words"))
	if l := hotlineLine(h); l.Well != wellYes || !strings.Contains(l.What, "journal in doubt: PeerJournalRolledBack") {
		t.Errorf("in doubt: %+v", l)
	}
}

func TestStatusOutput(t *testing.T) {
	lines := summarize(sampleState())
	for name, output := range map[string]format{"status.txt": asTable, "status.json": asJSON, "status.yaml": asYAML} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			if err := o.printStatus("duty", lines, &output); err != nil {
				t.Fatal(err)
			}
			golden(t, name, s.out.String())
		})
	}
	if err := verdict(lines); !errors.Is(err, ErrUnwell) {
		t.Errorf("check gave %v, want that something is not well", err)
	}
	if err := verdict(lines[:3]); err != nil {
		t.Errorf("check gave %v for what is well", err)
	}
	if err := verdict(nil); !errors.Is(err, ErrUnwell) {
		t.Errorf("check gave %v for nothing at all", err)
	}
}
