// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"fmt"
	"strings"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/territory"
)

// Explain says in one line for people what a reason means under a rule, and what
// would have to change. A reason that this release does not know stands for itself.
func Explain(reason string, r config.Rule) string {
	ceiling := "TLP:" + r.MaxTLP
	if r.MaxTLP == "" {
		ceiling = "nothing at all"
	}
	if level, ok := strings.CutPrefix(reason, aboveCeiling); ok {
		return fmt.Sprintf("its strictest marking is TLP:%s, the rule allows %s", level, ceiling)
	}
	if level, ok := strings.CutPrefix(reason, within); ok {
		return fmt.Sprintf("its strictest marking is TLP:%s, within %s", level, ceiling)
	}
	if level, ok := strings.CutPrefix(reason, containerAbove); ok {
		return fmt.Sprintf("it has no TLP marking, and an object of the source that names it is TLP:%s; the rule allows %s", level, ceiling)
	}
	if level, ok := strings.CutPrefix(reason, contentAbove); ok {
		return fmt.Sprintf("it names an object of the source that is TLP:%s; the rule allows %s", level, ceiling)
	}
	if told, ok := explainInside(reason, r); ok {
		return told
	}
	switch reason {
	case Unmarked:
		return fmt.Sprintf("it has no TLP marking, and what its source declares for such objects (unmarkedAs, else AMBER+STRICT) is above %s", ceiling)
	case UnknownMarking:
		return "it carries, or is, a marking that is neither TLP nor a statement in the feed's sources; what is not understood stays"
	case TypeNotAllowed:
		return "its type is not among the rule's types: " + strings.Join(r.Types, ", ")
	case ExpressionFalse:
		return "the rule's expression is false for it: " + r.CEL
	case ExpressionFailed:
		return "the rule's expression cannot be evaluated on it, as when it lacks a member that the expression names; ask with has() first: " + r.CEL
	case UnknownSource:
		return "it lies in no source of the feed any more"
	}
	return reason
}

// explainInside explains the reasons that lie in the object rather than in its markings.
func explainInside(reason string, r config.Rule) (told string, ok bool) {
	agreement := max(r.MinAgreement, 1)
	switch reason {
	case LowConfidence:
		return fmt.Sprintf("its confidence is below minConfidence %d; none counts as 0", r.MinConfidence), true
	case TooOld:
		return fmt.Sprintf("its last sign of life (modified, last_seen, last_observed, valid_from) is more than %d days ago", r.MaxAgeDays), true
	case NoDate:
		return "the rule has maxAgeDays, and it has no date", true
	case Unreadable:
		return "the stored bytes are no STIX object", true
	case Translation:
		return "it translates what redaction leaves out: a property, or what names an identity, which may be a victim", true
	case territory.OtherTerritory:
		return "what it names appears to emanate from another territory than the peer's", true
	case territory.TerritoryDisputed:
		return fmt.Sprintf("fewer than %d data sets say that what it names is in the peer's territory", agreement), true
	case territory.OnWarningList:
		return "what it names stands on a warning list (clouds, content networks, scanners), which tells of no territory", true
	case territory.UnknownTerritory:
		return "no data set knows where that is what it names", true
	case territory.TerritoryUndecidable:
		return "it names addresses in a way that is not decided upon, such as a negation, a wildcard or another pattern language", true
	case territory.NoTerritory:
		return "it names nothing that could be looked up: no address, network, AS number or domain", true
	case territory.NoTerritoryData:
		return "there is no data about territories: see LocalCERT.spec.territory and PeerCERT.spec.territory", true
	}
	return "", false
}
