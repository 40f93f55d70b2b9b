// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/glossary"
	"github.com/certlink/certlink/relay/message"
)

// typed runs a command line, and returns what it wrote to standard output.
func typed(t *testing.T, args ...string) (string, error) {
	t.Helper()
	io, _, out, _ := genericiooptions.NewTestIOStreams()
	cmd := New(io, "test")
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestWrongArgumentsAreToldWithHowTheCommandIsUsed(t *testing.T) {
	for line, want := range map[string]string{
		"hotline show":             "accepts 1 arg(s), received 0; it is used as: kubectl certlink hotline show ID",
		"hotline send a b":         "accepts 1 arg(s), received 2; it is used as: kubectl certlink hotline send HOTLINE --subject SUBJECT",
		"status now":               "it is used as: kubectl certlink status",
		"hotline send a --subject": "flag needs an argument: --subject; it is used as: kubectl certlink hotline send HOTLINE",
		"hotline list --sentt":     "unknown flag: --sentt; it is used as: kubectl certlink hotline list",
		"check bravo -o wide":      `"wide" is neither json nor yaml`,
		"profile disk -f x":        "it is used as: kubectl certlink profile {cpu|heap|allocs|goroutine}",
	} {
		_, err := typed(t, strings.Fields(line)...)
		expect(t, err, want)
	}
}

func TestACommandThatDoesNotExistIsAnError(t *testing.T) {
	for line, want := range map[string]string{
		"stauts":                     `unknown command "stauts" for "kubectl certlink"`,
		"hotline snd bravo":          `unknown command "snd" for "kubectl certlink hotline": did you mean send?`,
		"hotline bravo":              `unknown command "bravo" for "kubectl certlink hotline": see kubectl certlink hotline --help`,
		"hotline draft relase 01J":   `unknown command "relase" for "kubectl certlink hotline draft": did you mean release?`,
		"hotline exercise start":     `unknown command "start"`,
		"hotline attachment fetch 1": `unknown command "fetch"`,
		"journal check":              `unknown command "check"`,
		"courier exprt":              `did you mean export?`,
		"feed pull":                  `unknown command "pull"`,
		"glossary add":               `unknown command "add"`,
		"trust rotat":                `did you mean rotate?`,
		"peer remove bravo":          `unknown command "remove" for "kubectl certlink peer"`,
	} {
		_, err := typed(t, strings.Fields(line)...)
		expect(t, err, want)
	}
	for _, group := range []string{"hotline", "hotline draft", "journal", "peer", "trust"} {
		out, err := typed(t, strings.Fields(group)...)
		if expect(t, err, ""); !strings.Contains(out, "Available Commands:") {
			t.Errorf("%s alone prints %q, not what there is", group, out)
		}
	}
}

// cluster is an API server with one namespace of certlink, of which nothing can be written.
func cluster(t *testing.T) string {
	t.Helper()
	meta := func(kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind}
	}
	bravo := v1alpha1.Hotline{TypeMeta: meta("Hotline"), ObjectMeta: metav1.ObjectMeta{Name: "bravo", Namespace: "duty"}}
	bravo.Spec.PeerRef.Name = "bravo"
	bravo.Spec.Notifiers = []v1alpha1.HotlineNotifier{{Name: "duty-pager"}, {Name: "chief"}}
	alfa := *local("alfa", 0)
	alfa.Spec.Desk.Officers = []v1alpha1.Officer{{Name: "eve", DisplayName: "Eve Example"}, {Name: "rob"}}
	imported := v1alpha1.SharedFeed{ObjectMeta: metav1.ObjectMeta{Name: "from-bravo", Namespace: "duty"}}
	imported.Spec.Direction = v1alpha1.FeedImport
	imported.Spec.Import = &v1alpha1.FeedImportSpec{Deliveries: []v1alpha1.FeedDelivery{{Name: "siem"}}}
	exported := v1alpha1.SharedFeed{ObjectMeta: metav1.ObjectMeta{Name: "threats", Namespace: "duty"}}
	peer := v1alpha1.PeerCERT{ObjectMeta: metav1.ObjectMeta{Name: "bravo", Namespace: "duty"}}
	peer.Spec.Identity.TrustDomain = "bravo.example"
	resources := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}, GroupVersion: v1alpha1.GroupVersion.String()}
	for kind, name := range map[string]string{"LocalCERT": "localcerts", "PeerCERT": "peercerts", "SharedFeed": "sharedfeeds", "Hotline": "hotlines"} {
		resources.APIResources = append(resources.APIResources, metav1.APIResource{Name: name, Kind: kind, Namespaced: true, Verbs: metav1.Verbs{"get", "list"}})
	}
	const group = "/apis/certlink.dev/v1alpha1"
	version := metav1.GroupVersionForDiscovery{GroupVersion: v1alpha1.GroupVersion.String(), Version: v1alpha1.GroupVersion.Version}
	answers := map[string]any{
		"/api": metav1.APIVersions{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIVersions"}},
		"/apis": metav1.APIGroupList{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroupList"},
			Groups:   []metav1.APIGroup{{Name: v1alpha1.GroupVersion.Group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version}},
		},
		group:                                     resources,
		group + "/namespaces/duty/localcerts":     v1alpha1.LocalCERTList{TypeMeta: meta("LocalCERTList"), Items: []v1alpha1.LocalCERT{alfa}},
		group + "/namespaces/duty/peercerts":      v1alpha1.PeerCERTList{TypeMeta: meta("PeerCERTList"), Items: []v1alpha1.PeerCERT{peer}},
		group + "/namespaces/duty/sharedfeeds":    v1alpha1.SharedFeedList{TypeMeta: meta("SharedFeedList"), Items: []v1alpha1.SharedFeed{exported, imported}},
		group + "/namespaces/duty/hotlines":       v1alpha1.HotlineList{TypeMeta: meta("HotlineList"), Items: []v1alpha1.Hotline{bravo}},
		group + "/namespaces/duty/hotlines/bravo": bravo,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, known := answers[r.URL.Path]
		if !known {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	return server.URL
}

func TestTheShellCompletesWhatIsNamed(t *testing.T) {
	server := cluster(t)
	for line, want := range map[string][]string{
		"hotline send ?":                          {"bravo\thotline to bravo"},
		"hotline notify-test ?":                   {"bravo\thotline to bravo"},
		"hotline notify-test bravo ?":             {"duty-pager", "chief"},
		"hotline notify-test bravo ch?":           {"chief"},
		"hotline notify-test bravo chief ?":       nil,
		"hotline exercise run f.yaml --hotline ?": {"bravo\thotline to bravo"},
		"hotline list --peer ?":                   {"bravo\tbravo.example"},
		"hotline send bravo --officer ?":          {"eve\tEve Example", "rob"},
		"hotline ack 01J --officer r?":            {"rob"},
		"check bravo --local-cert ?":              {"alfa\talfa.example"},
		"feed quarantine ?":                       {"from-bravo"},
		"feed dead ?":                             {"from-bravo"},
		"feed redeliver from-bravo ?":             {"siem"},
		"feed dead threats ?":                     nil,
	} {
		words := strings.Fields(strings.TrimSuffix(line, "?"))
		if strings.HasSuffix(line, " ?") {
			words = append(words, "")
		}
		out, err := typed(t, append([]string{"__complete", "--server", server, "-n", "duty"}, words...)...)
		expect(t, err, "")
		var got []string
		for said := range strings.Lines(out) {
			if said = strings.TrimRight(said, "\n"); !strings.HasPrefix(said, ":") {
				got = append(got, strings.TrimSuffix(said, "\t"))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
}

func TestTheRelayKnowsWhatElseTheShellCompletes(t *testing.T) {
	m := received()
	m.Attachments = []message.Attachment{{Name: "capture\u202e.pcap", Size: 7}}
	terms := desk.Glossary{Terms: []glossary.Term{{ID: "peace", State: glossary.Agreed}, {ID: "incident", State: glossary.Disagreed}}}
	relay := relaytest.Desk(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/hotline/glossary/bravo":
			_ = json.NewEncoder(w).Encode(terms)
		case r.URL.Path == desk.PathDrafts && r.URL.Query().Get("all") == "":
			_ = json.NewEncoder(w).Encode(desk.MessageList{Messages: []desk.Message{waits()}})
		case r.URL.Path == desk.PathMessages:
			_ = json.NewEncoder(w).Encode(desk.MessageList{Messages: []desk.Message{m}})
		case strings.HasSuffix(r.URL.Path, m.ID):
			_ = json.NewEncoder(w).Encode(m)
		default:
			http.NotFound(w, r)
		}
	}))
	for name, test := range map[string]struct{ got, want []string }{
		"drafts_that_wait":         {waitingDrafts(t.Context(), relay), []string{m.ID + "\tFLASH CERT Bravo: Outage"}},
		"terms_with_their_state":   {termsOf(t.Context(), relay, "bravo"), []string{"peace\tagreed", "incident\tDISAGREED"}},
		"no_terms_of_no_hotline":   {termsOf(t.Context(), relay, "nobody"), nil},
		"files_without_what_hides": {filesOf(t.Context(), relay, m.ID), []string{"capture\ufffd.pcap\t7 bytes"}},
		"no_files_of_no_message":   {filesOf(t.Context(), relay, "01J"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
