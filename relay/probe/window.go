// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import "math/bits"

// windowSize is how many sequence numbers back a beat may still arrive: 8 s at the
// default interval. What TCP holds up for longer counts as lost.
const windowSize = 256

// window notes which of the latest sequence numbers have arrived.
type window struct {
	highest uint64
	seen    [windowSize / 64]uint64
}

// note takes a sequence number; those between after and it are not for us, unless after is 0. newest tells
// whether it is larger than all before; lost is how many numbers have left the window without having arrived.
func (w *window) note(seq, after uint64) (newest bool, lost int) {
	if after == 0 || after >= seq {
		after = seq - 1
	}
	defer func() { w.fill(after+1, seq) }()
	if seq <= w.highest {
		return false, 0
	}
	if w.highest == 0 {
		// The first that arrives: what came before it is none of our business.
		*w = full()
		w.highest = seq
		return true, 0
	}
	if gap := seq - w.highest; gap >= windowSize {
		lost = windowSize - w.count()
		w.seen = [windowSize / 64]uint64{}
		if skipped := min(after, seq-windowSize); skipped > w.highest {
			lost += int(min(skipped-w.highest, 1<<20)) //nolint:gosec // bounded here
		}
	} else {
		for next := w.highest + 1; next <= seq; next++ {
			if !w.has(next) { // the place of next-windowSize
				lost++
			}
			w.clear(next)
		}
	}
	w.highest = seq
	return true, lost
}

// fill notes that these numbers have arrived, or are not for us, as far as they are in the window.
func (w *window) fill(from, to uint64) {
	if w.highest >= windowSize {
		from = max(from, w.highest-windowSize+1)
	}
	if from > to {
		return // it came too late to count
	}
	for n := range to - from + 1 {
		w.set(from + n)
	}
}

func full() window {
	var w window
	for i := range w.seen {
		w.seen[i] = ^uint64(0)
	}
	return w
}

func (w *window) place(seq uint64) (word int, bit uint64) {
	i := seq % windowSize
	return int(i / 64), 1 << (i % 64) //nolint:gosec // below windowSize
}

func (w *window) set(seq uint64)      { word, bit := w.place(seq); w.seen[word] |= bit }
func (w *window) clear(seq uint64)    { word, bit := w.place(seq); w.seen[word] &^= bit }
func (w *window) has(seq uint64) bool { word, bit := w.place(seq); return w.seen[word]&bit != 0 }

func (w *window) count() (n int) {
	for _, word := range w.seen {
		n += bits.OnesCount64(word)
	}
	return n
}
