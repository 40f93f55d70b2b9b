// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/card"
	"github.com/certlink/certlink/internal/statuscheck"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

var options = Options{RelayImage: "relay.example/certlink:v1", OperatorNamespace: "certlink-system", Address: serviceAddress}

func decided(t *testing.T, l *v1alpha1.LocalCERT, s *seen) *plan {
	t.Helper()
	s.input.Local = l
	p, err := options.decide(l, s, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func kinds(p *plan) []string {
	var out []string
	for _, o := range p.objects {
		out = append(out, o.GetKind()+" "+o.GetName())
	}
	return out
}

func TestDecide(t *testing.T) {
	nothing := func() *seen { return &seen{certificates: names(local())} }
	issuedAll := func(t *testing.T) *seen {
		t.Helper()
		return &seen{certificates: allIssued(t, testca.New(t, "alfa.example"))}
	}
	t.Run("the_relay_waits_for_its_certificates", func(t *testing.T) {
		p := decided(t, local(), nothing())
		if slices.Contains(kinds(p), "StatefulSet alfa-relay") || p.target != nil {
			t.Errorf("it would start at once: %v", kinds(p))
		}
		if !slices.Contains(kinds(p), "Issuer alfa-ca") {
			t.Errorf("there is no CA of our own: %v", kinds(p))
		}
	})
	t.Run("and_then_it_starts", func(t *testing.T) {
		p := decided(t, local(), issuedAll(t))
		if !slices.Contains(kinds(p), "StatefulSet alfa-relay") || p.target == nil {
			t.Errorf("it would not: %v", kinds(p))
		}
		if p.target.Address != "alfa-relay-local.cert.svc:9443" || len(p.target.KeyPEM) == 0 || p.target.TrustDomain != "alfa.example" {
			t.Errorf("unexpected target at %s", p.target.Address)
		}
	})
	t.Run("a_running_relay_is_not_taken_down_with_its_certificates", func(t *testing.T) {
		s := nothing()
		s.statefulSet = &appsv1.StatefulSet{}
		if p := decided(t, local(), s); !slices.Contains(kinds(p), "StatefulSet alfa-relay") {
			t.Errorf("it would go: %v", kinds(p))
		}
	})
	t.Run("its_report_is_read_though_another_certificate_is_bad", func(t *testing.T) {
		s := issuedAll(t)
		s.statefulSet = &appsv1.StatefulSet{}
		s.certificates[4].secret = nil // the desk's
		if p := decided(t, local(), s); p.target == nil || len(p.target.RootsPEM) == 0 {
			t.Errorf("a new operator would say that it does not run: %+v", p.material.fact)
		}
	})
	t.Run("a_given_issuer_needs_no_CA_of_our_own", func(t *testing.T) {
		l := local()
		l.Spec.IssuerRef = &v1alpha1.IssuerReference{Name: "national", Kind: "ClusterIssuer"}
		for _, k := range kinds(decided(t, l, nothing())) {
			if strings.HasPrefix(k, "Issuer") || k == "Certificate alfa-ca" {
				t.Errorf("it would make %s", k)
			}
		}
	})
	t.Run("the_load_balancer_gives_the_addresses_that_nobody_declared", func(t *testing.T) {
		s := issuedAll(t)
		s.service = &corev1.Service{Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{
			{IP: "192.0.2.1"}, {Hostname: "lb.alfa.example"}, {IP: "2001:db8::1"}, {},
		}}}}
		l := local()
		want := []string{"192.0.2.1:8443", "lb.alfa.example:8443", "[2001:db8::1]:8443"}
		p := decided(t, l, s)
		describe(l, p)
		if diff := cmp.Diff(want, l.Status.Addresses); diff != "" {
			t.Error(diff)
		}
		c, err := card.Parse([]byte(l.Status.Card))
		if err != nil || len(c.Endpoints) != 3 {
			t.Errorf("the card has %v (%v)", c.Endpoints, err)
		}
	})
	t.Run("what_is_no_CA_stays_out_of_the_bundle", func(t *testing.T) {
		ca := testca.New(t, "alfa.example")
		s := &seen{certificates: allIssued(t, ca)}
		leaf := ca.Leaf(t, testca.Leaf{Path: "/relay"})
		s.certificates[0].secret.Data["ca.crt"] = append([]byte(ca.Bundle()), testca.EncodeCertificates(leaf.Chain[0])...)
		if p := decided(t, local(), s); p.config.Identity.Bundle != ca.Bundle() {
			t.Errorf("the relay would refuse %q", p.config.Identity.Bundle)
		}
	})
	t.Run("declared_addresses_win", func(t *testing.T) {
		l := local()
		l.Spec.Addresses = []v1alpha1.Endpoint{{Address: "relay.alfa.example:443"}}
		s := issuedAll(t)
		s.service = &corev1.Service{Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}}}}
		p := decided(t, l, s)
		if len(p.endpoints) != 1 || p.endpoints[0].Address != "relay.alfa.example:443" {
			t.Errorf("got %v", p.endpoints)
		}
	})
}

func TestReport(t *testing.T) {
	now := time.Now()
	everything := func(t *testing.T) *seen {
		t.Helper()
		return &seen{certificates: allIssued(t, testca.New(t, "alfa.example"))}
	}
	reached := func(p *plan, change func(*reports.View)) reports.View {
		v := reports.View{
			Contact: reports.Reached, Wanted: p.config, Checksum: p.checksum, WrittenAt: now.Add(-time.Hour), Live: p.config,
			Report: &relayreport.Report{Config: relayreport.ConfigState{Checksum: p.checksum}},
		}
		change(&v)
		return v
	}
	for name, tc := range map[string]struct {
		view  func(*reports.View)
		ready string
		relay string
		says  string
	}{
		"well": {func(*reports.View) {}, "True/Reconciled", "True/RelayReporting", ""},
		"a_refused_configuration": {func(v *reports.View) {
			v.Live = nil
			v.Report.Config = relayreport.ConfigState{RejectedChecksum: v.Checksum, Error: "peers[0].bundle: no"}
		}, "False/RelayRejectedConfig", "False/RelayRejectedConfig", "peers[0].bundle"},
		"an_old_configuration": {func(v *reports.View) { v.Live = &config.Config{} }, "False/RelayOutdated", "False/RelayOutdated", "relay's log"},
		"a_lost_relay":         {func(v *reports.View) { v.Contact, v.Error = reports.Lost, "connection refused" }, "Unknown/RelayUnreachable", "Unknown/RelayUnreachable", "connection refused"},
		"refused_certificates": {func(v *reports.View) { v.Report.Identity.Error = "link: the key does not fit" }, "False/CertificateInvalid", "True/RelayReporting", "the key does not fit"},
		"a_first_look":         {func(v *reports.View) { *v = reports.View{Contact: reports.Calling} }, "Unknown/Pending", "Unknown/Pending", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l, s := local(), everything(t)
			p := decided(t, l, s)
			s.view = reached(p, tc.view)
			edit := status.NewEditor(&l.Status.Conditions, l.Generation, now)
			verdict, _ := report(l, s, p, edit, now)
			if edit.Conclude(verdict) {
				l.Status.ObservedGeneration = l.Generation
			}
			if err := statuscheck.Check("LocalCERT", l.Generation, l.Status.ObservedGeneration, l.Status.Conditions); err != nil {
				t.Error(err)
			}
			for condition, want := range map[string]string{"Ready": tc.ready, "RelayAvailable": tc.relay} {
				c := edit.Get(condition)
				if got := string(c.Status) + "/" + c.Reason; got != want {
					t.Errorf("%s is %s (%s), want %s", condition, got, c.Message, want)
				}
			}
			if m := edit.Get("Ready").Message; !strings.Contains(m, tc.says) {
				t.Errorf("message %q does not say %q", m, tc.says)
			}
		})
	}
}

func TestRefreshes(t *testing.T) {
	key := types.NamespacedName{Namespace: "cert", Name: "alfa"}
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var r refreshes
	step := func(digest string, arrived bool, after time.Duration) string {
		value, _ := r.next(key, digest, "", arrived, noon.Add(after))
		return value
	}
	for _, tc := range []struct {
		name    string
		digest  string
		arrived bool
		after   time.Duration
		want    string
	}{
		{"asked_for_once", "one", false, 0, "one"},
		{"given_time", "one", false, time.Second, "one"},
		{"asked_for_again_when_it_does_not_arrive", "one", false, 2 * time.Second, "one.1"},
		{"left_alone_when_it_has", "one", true, 5 * time.Second, "one.1"},
		{"a_new_content_begins_anew", "two", false, 6 * time.Second, "two"},
		{"again", "two", false, 8 * time.Second, "two.1"},
		{"again_2", "two", false, 10 * time.Second, "two.2"},
		{"again_3", "two", false, 12 * time.Second, "two.3"},
		{"again_4", "two", false, 14 * time.Second, "two.4"},
		{"again_5", "two", false, 16 * time.Second, "two.5"},
		{"and_no_more", "two", false, time.Hour, "two.5"},
	} {
		if got := step(tc.digest, tc.arrived, tc.after); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
	if _, again := r.next(key, "two", "", false, noon.Add(time.Hour)); again != 0 {
		t.Errorf("it would be looked at for ever, next in %v", again)
	}
	r.forget(key)
	if got := step("two", false, time.Hour); got != "two" {
		t.Errorf("after it was forgotten: %q", got)
	}
}

func TestAChangedSecretIsShownToTheRelayTwice(t *testing.T) {
	key := types.NamespacedName{Namespace: "cert", Name: "alfa"}
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var r refreshes
	for _, tc := range []struct {
		name, digest, others string
		after                time.Duration
		want                 string
		again                time.Duration
	}{
		{"at_the_start_it_is_there", "one", "x", 0, "one", 0},
		{"a_change", "two", "y", time.Second, "two", 2 * time.Second},
		{"given_time", "two", "y", 2 * time.Second, "two", time.Second},
		{"once_more", "two", "y", 3 * time.Second, "two.1", 0},
		{"and_no_more", "two", "y", time.Hour, "two.1", 0},
		{"what_the_report_tells_of_is_asked_for_once", "three", "y", 2 * time.Hour, "three", 0},
	} {
		value, again := r.next(key, tc.digest, tc.others, true, noon.Add(tc.after))
		if value != tc.want || again != tc.again {
			t.Errorf("%s: got %q, again in %v, want %q in %v", tc.name, value, again, tc.want, tc.again)
		}
	}
}

func TestEachReplicaIsShownANewConfigurationTwice(t *testing.T) {
	key := types.NamespacedName{Namespace: "cert", Name: "alfa"}
	for pods, want := range map[int]string{1: "two", 3: "two.1"} {
		var r refreshes
		s := &seen{pods: make([]metav1.PartialObjectMetadata, pods)}
		at := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
		r.next(key, "one", unreported("one", s), true, at)
		var got string
		// The one pod that reports has it at once.
		for range 5 {
			at = at.Add(refreshAgain)
			got, _ = r.next(key, "two", unreported("two", s), true, at)
		}
		if got != want {
			t.Errorf("%d pods are annotated with %q, want %q", pods, got, want)
		}
	}
}

func TestArrived(t *testing.T) {
	p := decided(t, local(), &seen{certificates: allIssued(t, testca.New(t, "alfa.example"))})
	serial := p.leaves[0].serial
	if serial == "" {
		t.Fatal("the link certificate has no serial")
	}
	for name, tc := range map[string]struct {
		config   relayreport.ConfigState
		identity relayreport.IdentityState
		want     bool
	}{
		"both_are_live":                    {relayreport.ConfigState{Checksum: p.checksum}, relayreport.IdentityState{Serial: serial}, true},
		"an_older_configuration":           {relayreport.ConfigState{Checksum: "old"}, relayreport.IdentityState{Serial: serial}, false},
		"a_refused_configuration":          {relayreport.ConfigState{Checksum: "old", RejectedChecksum: p.checksum}, relayreport.IdentityState{Serial: serial}, true},
		"the_certificate_before_a_renewal": {relayreport.ConfigState{Checksum: p.checksum}, relayreport.IdentityState{Serial: "1"}, false},
		"a_refused_certificate":            {relayreport.ConfigState{Checksum: p.checksum}, relayreport.IdentityState{Serial: "1", Error: "link: expired"}, true},
		"a_relay_that_names_no_serial":     {relayreport.ConfigState{Checksum: p.checksum}, relayreport.IdentityState{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := arrived(&relayreport.Report{Config: tc.config, Identity: tc.identity}, p); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
	if arrived(nil, p) {
		t.Error("without a report it is not known")
	}
}

// TestALateMountOfAnyCertificateIsNoticed: the relay names the serials of all three.
func TestALateMountOfAnyCertificateIsNoticed(t *testing.T) {
	now := time.Now()
	for name, late := range map[string]func(*relayreport.IdentityState){
		"link":    func(i *relayreport.IdentityState) { i.Serial = "1" },
		"local":   func(i *relayreport.IdentityState) { i.LocalSerial = "1" },
		"signing": func(i *relayreport.IdentityState) { i.SigningSerial = "1" },
	} {
		t.Run(name, func(t *testing.T) {
			l, s := local(), &seen{certificates: allIssued(t, testca.New(t, "alfa.example"))}
			p := decided(t, l, s)
			r := &relayreport.Report{Config: relayreport.ConfigState{Checksum: p.checksum}, Identity: relayreport.IdentityState{
				Serial: p.leaves[0].serial, LocalSerial: p.leaves[1].serial, SigningSerial: p.leaves[2].serial,
			}}
			if !arrived(r, p) {
				t.Fatal("what is there counts as late")
			}
			late(&r.Identity)
			if arrived(r, p) {
				t.Error("the kubelet would not be asked again")
			}
			s.view = reports.View{Contact: reports.Reached, Wanted: p.config, Checksum: p.checksum, Live: p.config, Report: r}
			for gaveUp, want := range map[bool]string{false: "True/RelayReporting", true: "False/RelayOutdated"} {
				s.gaveUp = gaveUp
				edit := status.NewEditor(&l.Status.Conditions, l.Generation, now)
				report(l, s, p, edit, now)
				c := edit.Get("RelayAvailable")
				if got := string(c.Status) + "/" + c.Reason; got != want || gaveUp && !strings.Contains(c.Message, name+" certificate") {
					t.Errorf("after the last try %v: %s (%s), want %s", gaveUp, got, c.Message, want)
				}
			}
		})
	}
}

func TestAddressOfTheReport(t *testing.T) {
	if got := serviceAddress(local()); got != "alfa-relay-local.cert.svc:9443" {
		t.Errorf("got %q", got)
	}
	if relayconfig.LocalPort != 9443 {
		t.Errorf("the local port is %d", relayconfig.LocalPort)
	}
}
