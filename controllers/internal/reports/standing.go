// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package reports

import (
	"fmt"
	"reflect"
	"time"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
)

// Grace is how long a relay may take to run a new configuration before objects
// that were Ready say otherwise.
const Grace = 15 * time.Second

// Standing says whether the relay carries a part of the configuration: want, as
// pick finds it in a whole configuration. wasReady tells whether the object was
// Ready for its present generation. The duration says when to look again; zero
// waits for news.
func Standing[T any](v View, want T, pick func(*config.Config) (T, bool), wasReady bool, now time.Time) (status.Verdict, time.Duration) {
	if verdict, blind := v.blind(); blind {
		return verdict, 0
	}
	carries := func(c *config.Config) bool {
		if c == nil {
			return false
		}
		got, ok := pick(c)
		return ok && reflect.DeepEqual(got, want)
	}
	wanted := carries(v.Wanted)
	if wanted && carries(v.Live) {
		return status.Verdict{Fate: status.Done, Reason: v1alpha1.ReasonReconciled, Message: "our relay runs this configuration"}, 0
	}
	return v.behind(wanted, wasReady, now)
}

// blind says what can be said while the relay gives no report.
func (v View) blind() (status.Verdict, bool) {
	switch v.Contact {
	case Reached:
		return status.Verdict{}, false
	case Undeployed:
		return status.Verdict{
			Fate:    status.Working,
			Reason:  v1alpha1.ReasonProgressing,
			Message: "our relay does not run yet; the conditions of the LocalCERT say why",
		}, true
	case Lost:
		return status.Verdict{
			Fate:    status.Blind,
			Reason:  v1alpha1.ReasonRelayUnreachable,
			Message: "the operator cannot read the report of our relay: " + v.Error + "; see the relay's pod and the conditions of the LocalCERT",
		}, true
	case Unseen, Calling:
	}
	return status.Verdict{Fate: status.Same, Reason: v1alpha1.ReasonPending, Message: "waiting for the first report of our relay"}, true
}

// behind says what can be said while the relay runs something else than wanted. Wanted
// tells whether the configuration that was written holds it.
func (v View) behind(wanted, wasReady bool, now time.Time) (status.Verdict, time.Duration) {
	if state := v.Report.Config; v.Checksum != "" && state.RejectedChecksum == v.Checksum {
		return status.Verdict{
			Fate:    status.Working,
			Reason:  v1alpha1.ReasonRelayRejectedConfig,
			Message: "our relay refused the newest configuration and keeps the last good one: " + state.Error,
		}, 0
	}
	left := v.WrittenAt.Add(Grace).Sub(now)
	if wasReady && (v.Wanted == nil || left > 0) {
		return status.Verdict{Fate: status.Same, Reason: v1alpha1.ReasonPending, Message: "the new configuration is on its way to our relay"}, max(left, time.Second)
	}
	verdict := status.Verdict{
		Fate:    status.Working,
		Reason:  v1alpha1.ReasonProgressing,
		Message: "the new configuration is on its way to our relay",
	}
	if v.Wanted != nil && left <= 0 && !wanted {
		verdict.Message = "it is not in the configuration of our relay yet; the condition Ready of the LocalCERT says why"
		return verdict, 0
	}
	if v.Wanted != nil && left <= 0 {
		verdict.Reason = v1alpha1.ReasonRelayOutdated
		verdict.Message = fmt.Sprintf("our relay has not taken up its configuration %s of %s; see the relay's log",
			short(v.Checksum), v.WrittenAt.UTC().Format(time.RFC3339))
		return verdict, 0
	}
	return verdict, max(left, time.Second)
}

func short(checksum string) string { return checksum[:min(len(checksum), 12)] }
