// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	relayreport "github.com/certlink/certlink/relay/report"
)

// AnnotationMounted on a relay's pod names what its volumes should show. The
// kubelet refreshes the volumes of a pod at once when the pod changes; without
// that it may take more than a minute.
const AnnotationMounted = "certlink.dev/mounted"

// A pod may be seen by the kubelet before the ConfigMap or a Secret is. Then the
// refresh brings the old content, and is asked for again.
const (
	refreshAgain = 2 * time.Second
	refreshMost  = 5
)

// refreshes remembers how often a refresh was asked for. It is safe concurrently.
type refreshes struct {
	mu   sync.Mutex
	last map[types.NamespacedName]refresh
}

type refresh struct {
	digest string
	// others is what the digest has of the Secrets and ConfigMaps of people.
	others string
	// count of the repetitions, and how many are due whatever the report says.
	count, due int
	at         time.Time
}

// next returns the value that the annotation should have. The duration says
// when to ask again; zero when the relay has what it should. The report does not
// tell when Secrets and ConfigMaps of people, the others, have arrived: a change of
// them is asked for twice.
func (r *refreshes) next(key types.NamespacedName, digest, others string, arrived bool, now time.Time) (string, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = map[types.NamespacedName]refresh{}
	}
	last, known := r.last[key]
	switch {
	case last.digest != digest:
		changed := known && last.others != others
		last = refresh{digest: digest, others: others, at: now}
		if changed {
			last.due = 1
		}
	case (!arrived || last.count < last.due) && last.count < refreshMost && now.Sub(last.at) >= refreshAgain:
		last.count++
		last.at = now
	}
	r.last[key] = last
	value := digest
	if last.count > 0 {
		value += "." + strconv.Itoa(last.count)
	}
	if arrived && last.count >= last.due || last.count >= refreshMost {
		return value, 0
	}
	return value, max(last.at.Add(refreshAgain).Sub(now), 100*time.Millisecond)
}

// gaveUp tells whether the relay was asked as often as it makes sense.
func (r *refreshes) gaveUp(key types.NamespacedName) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[key].count >= refreshMost
}

func (r *refreshes) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, key)
}

// arrived tells by its report whether the relay has looked at the configuration
// and the certificates that it should have; it may have refused them.
func arrived(r *relayreport.Report, p *plan) bool {
	if r == nil {
		return false
	}
	configured := r.Config.Checksum == p.checksum || r.Config.RejectedChecksum == p.checksum
	return configured && (r.Identity.Error != "" || unmounted(r.Identity, p.leaves) == "")
}

// unreported changes with what the report does not tell to have arrived: Secrets and
// ConfigMaps of people, and where there are several pods all of it, since the report is
// that of one. Another must not go on with a peer that was revoked, or with a wider rule.
func unreported(digest string, s *seen) string {
	if len(s.pods) > 1 {
		return digest
	}
	return s.contents.Digest
}

// refresh has the kubelet show the relay what is new, and returns when to look again.
func (r *Reconciler) refresh(ctx context.Context, key types.NamespacedName, p *plan, s *seen) (time.Duration, error) {
	sum := sha256.Sum256([]byte(p.checksum + p.material.digest + s.contents.Digest))
	digest := hex.EncodeToString(sum[:16])
	arrived := arrived(r.relays.View(key.Namespace).Report, p)
	value, again := r.refreshes.next(key, digest, unreported(digest, s), arrived, r.Now())
	if len(s.pods) == 0 {
		return 0, nil // the pod's own events bring us back
	}
	var errs []error
	for i := range s.pods {
		pod := &s.pods[i]
		current, _, _ := strings.Cut(pod.Annotations[AnnotationMounted], ".")
		if current == digest && arrived && again == 0 && value == digest {
			continue // however often it was asked for before this operator
		}
		errs = append(errs, r.apply.Annotate(ctx, pod, AnnotationMounted, value))
	}
	return again, errors.Join(errs...)
}
