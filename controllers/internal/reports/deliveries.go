// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package reports

import "github.com/certlink/certlink/relay/report"

// deliveries are those of one import.
type deliveries struct {
	feed string
	list []report.Delivery
}

// byImport groups deliveries, which the report has by import.
func byImport(all []report.Delivery) []deliveries {
	var groups []deliveries
	for _, d := range all {
		if n := len(groups); n == 0 || groups[n-1].feed != d.Import {
			groups = append(groups, deliveries{feed: d.Import})
		}
		last := &groups[len(groups)-1]
		last.list = append(last.list, d)
	}
	return groups
}
