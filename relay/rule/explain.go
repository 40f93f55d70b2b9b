// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"fmt"
	"strings"

	"github.com/certlink/certlink/relay/config"
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
