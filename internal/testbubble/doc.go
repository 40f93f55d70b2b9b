// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package testbubble runs tests in bubbles of testing/synctest, also under the race
// detector.
//
// A timer of a bubble that is due when it is set runs at once, on the processor that set
// it. All timers of a bubble share one context of the race detector, so two that run on
// two processors at the same moment destroy it: the process ends with "ThreadSanitizer:
// CHECK failed" and without the name of a test (https://go.dev/issue/78156, in Go 1.25 and
// 1.26). Run keeps to one processor meanwhile. The detector compares what happened before
// what and needs no second one to see a race. When the issue is closed in the oldest Go
// that go.mod allows, synctest.Test takes the place of Run.
package testbubble
