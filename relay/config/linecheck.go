// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

// Defaults and bounds of line checks.
const (
	DefaultLineCheckSeconds = 3600
	MaxLineCheckTexts       = 32
	MaxLineCheckText        = 256
)

// LineChecks is the schedule of the checks that are sent over each path of a hotline.
type LineChecks struct {
	// IntervalSeconds between two checks of a path: 10 to 86400, default 3600.
	IntervalSeconds int32 `json:"intervalSeconds,omitempty"`
	// MissedAfterSeconds without a good check, a path and direction counts as missed. More
	// than intervalSeconds, at most 172800; default one and a half intervals.
	MissedAfterSeconds int32 `json:"missedAfterSeconds,omitempty"`
	// Texts that are sent in turn; none means the list of package linecheck. At most 32, of
	// 1 to 256 characters each. They are to be neutral.
	Texts []string `json:"texts,omitempty"`
}

func (l *LineChecks) setDefaults() {
	fill(&l.IntervalSeconds, DefaultLineCheckSeconds)
	fill(&l.MissedAfterSeconds, l.IntervalSeconds+(l.IntervalSeconds+1)/2)
}

func (l LineChecks) validate(f faults) {
	checkRange(f.in("intervalSeconds"), l.IntervalSeconds, 10, 86_400)
	checkRange(f.in("missedAfterSeconds"), l.MissedAfterSeconds, 11, 172_800)
	if l.MissedAfterSeconds <= l.IntervalSeconds {
		f.in("missedAfterSeconds").add("must be longer than intervalSeconds, %d", l.IntervalSeconds)
	}
	checkCount(f.in("texts"), len(l.Texts), MaxLineCheckTexts)
	for i, text := range l.Texts {
		if text == "" {
			f.in("texts").at(i).add("must not be empty")
		}
		checkText(f.in("texts").at(i), text, MaxLineCheckText)
	}
}
