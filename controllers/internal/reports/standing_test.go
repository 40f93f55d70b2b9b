// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package reports

import (
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

func TestWhatStaysOutOfTheConfigurationIsNoFaultOfTheRelay(t *testing.T) {
	now := time.Now()
	without := &config.Config{}
	with := &config.Config{Imports: []config.Import{{Name: "threats"}}}
	pick := func(c *config.Config) (config.Import, bool) {
		if len(c.Imports) == 0 {
			return config.Import{}, false
		}
		return c.Imports[0], true
	}
	for name, tc := range map[string]struct {
		wanted, live *config.Config
		reason, says string
	}{
		"the_relay_has_it":              {with, with, v1alpha1.ReasonReconciled, ""},
		"the_relay_does_not_take_it":    {with, without, v1alpha1.ReasonRelayOutdated, "relay's log"},
		"it_was_not_given_to_the_relay": {without, without, v1alpha1.ReasonProgressing, "Ready of the LocalCERT says why"},
	} {
		v := View{Contact: Reached, Wanted: tc.wanted, Live: tc.live, Checksum: "sum", WrittenAt: now.Add(-time.Hour), Report: &report.Report{}}
		verdict, _ := Standing(v, config.Import{Name: "threats"}, pick, false, now)
		if verdict.Reason != tc.reason || !strings.Contains(verdict.Message, tc.says) {
			t.Errorf("%s: %s: %s", name, verdict.Reason, verdict.Message)
		}
	}
}
