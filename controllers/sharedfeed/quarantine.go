// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedfeed

import (
	"fmt"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
)

// quarantined says what an import holds in quarantine. What our relay cannot be asked about,
// or has not looked at since it began, stays as it was.
func (s *seen) quarantined(f *v1alpha1.SharedFeed, edit *status.Editor) {
	if f.Spec.Direction != v1alpha1.FeedImport {
		f.Status.Quarantined = nil
		edit.While(v1alpha1.ConditionQuarantined, false, "", "")
		return
	}
	i := s.imported(f.Name)
	if i == nil || s.view.Contact != reports.Reached {
		return
	}
	f.Status.Quarantined = &i.Quarantined
	message := fmt.Sprintf("objects of %s are held until somebody accepts or drops them: kubectl certlink feed quarantine %s", f.Spec.Import.PeerRef.Name, f.Name)
	if i.QuarantineOverflow > 0 {
		message += "; more came than the quarantine has room for"
	}
	edit.While(v1alpha1.ConditionQuarantined, i.Quarantined > 0, v1alpha1.ReasonObjectsHeld, message)
}
