// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
)

// reservedSecrets are what a LocalCERT's own Secrets end in: certificates, and CAs.
var reservedSecrets = regexp.MustCompile(`^-(link|local|signing|operator|desk(-[a-z0-9-]+)?|canary|ca(-[0-9]+)?)$`)

// Reserved tells whether a Secret is one of those that a LocalCERT makes for itself. They
// speak for our operator, our desk or our CA: a resource that names one would have our
// relay show them to a server of its author's choice.
func Reserved(localCERT, secret string) bool {
	rest, ok := strings.CutPrefix(secret, localCERT)
	return ok && reservedSecrets.MatchString(rest)
}

func (r Reference) reserved(localCERT string) bool {
	return r.Kind == Secret && Reserved(localCERT, r.Name)
}

// ReservedFault says which reference names a reserved Secret; nil if none does.
func ReservedFault(refs []Reference, localCERT string) *status.Verdict {
	for _, r := range refs {
		if r.reserved(localCERT) {
			return stalled(v1alpha1.ReasonSpecInvalid, "%s: Secret %q belongs to LocalCERT %q alone and is not shown to the relay here; make another Secret", r.Field, r.Name, localCERT)
		}
	}
	return nil
}

// ReferenceFault says which Secret, ConfigMap or key is missing; nil if none is. The
// rest of a feed works all the same.
func ReferenceFault(refs []Reference, there Keys) *status.Verdict {
	for _, r := range refs {
		reason := v1alpha1.ReasonSecretNotFound
		if r.Kind == ConfigMap {
			reason = v1alpha1.ReasonConfigMapNotFound
		}
		keys, exists := there[r.Object]
		if !exists {
			return stalled(reason, "%s: there is no %s %q in this namespace; create it", r.Field, r.Kind, r.Name)
		}
		if fault := r.keyFault(keys); fault != "" {
			return stalled(reason, "%s: %s %q %s", r.Field, r.Kind, r.Name, fault)
		}
	}
	return nil
}

// keyFault says which key is missing, or does not fit the others; empty if none.
func (r Reference) keyFault(keys []string) string {
	has := func(key string) bool { return slices.Contains(keys, key) }
	switch {
	case r.Key != "" && !has(r.Key):
		return fmt.Sprintf("has no key %q; add it", r.Key)
	case r.Kind == ConfigMap && len(keys) == 0:
		return "has no keys; add what is to be read, an empty bundle if it is nothing"
	case r.Kind == ConfigMap, r.Key != "":
		return ""
	}
	for _, pair := range [][2]string{{"tls.crt", "tls.key"}, {"username", "password"}} {
		for i := range pair {
			if has(pair[i]) && !has(pair[1-i]) {
				return fmt.Sprintf("has the key %q without %q; add it", pair[i], pair[1-i])
			}
		}
	}
	ways := slices.DeleteFunc([]string{"username", "token", "authorization"}, func(key string) bool { return !has(key) })
	if len(ways) > 1 {
		return fmt.Sprintf("has the keys %s, of which only one can be used; take the others out", quoted(ways))
	}
	if !slices.ContainsFunc(SecretKeys(), has) {
		return fmt.Sprintf("has none of the keys %s; add those that the server asks for", quoted(SecretKeys()))
	}
	return ""
}
