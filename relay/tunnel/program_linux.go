// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// area is a part of the memory: from its first byte up to the one after the last.
type area struct{ from, to uintptr }

// unmapProgram takes the pages of the program out of this process: most of them have served its
// start, or connections that are open now. Those that are needed again come back from the
// page cache, 16 with each fault, and the kernel is free to use the others for something else.
func unmapProgram() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("finding the program: %w", err)
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("finding the pages of the program: %w", err)
	}
	var errs []error
	for _, a := range unchanged(maps, program) {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, a.from, a.to-a.from, unix.MADV_DONTNEED); errno != 0 {
			errs = append(errs, fmt.Errorf("unmapping %#x to %#x of %s: %w", a.from, a.to, program, os.NewSyscallError("madvise", errno)))
		}
	}
	return errors.Join(errs...)
}

// unchanged finds in a text as /proc/PID/smaps has it (proc_pid_smaps(5)) the areas in which a file lies as
// it is on disk: nothing may write there, and nothing has. What a dynamic linker or a debugger has changed could not
// be read from the file again, in memory or swapped out. Of an area of which nothing is in memory nothing is to be
// had, and an emulator that does not count says that of all.
func unchanged(smaps []byte, file string) []area {
	var found []area
	var at area // whose lines are being read, if it may be one of them
	var left int
	for line := range bytes.Lines(smaps) {
		fields := bytes.Fields(line)
		switch {
		case len(fields) >= 5 && bytes.IndexByte(fields[0], '-') > 0:
			at, left = area{}, len(asOnDisk)
			_, path, named := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte("/"))
			if named && "/"+string(path) == file && (string(fields[1]) == "r-xp" || string(fields[1]) == "r--p") {
				at = areaOf(string(fields[0]))
			}
		case len(fields) == 3:
			none, asked := asOnDisk[string(fields[0])]
			if asked && (string(fields[1]) == "0") == none {
				left--
			}
			if asked && left == 0 && at.from < at.to {
				found = append(found, at)
			}
		}
	}
	return found
}

// asOnDisk are the numbers of an area that is as it is on disk; true where there must be none.
var asOnDisk = map[string]bool{"Rss:": false, "Anonymous:": true, "Swap:": true}

// areaOf reads FROM-TO, two hexadecimal numbers. Anything else is the zero area.
func areaOf(text string) area {
	first, last, _ := strings.Cut(text, "-")
	from, err := strconv.ParseUint(first, 16, strconv.IntSize)
	if err != nil {
		return area{}
	}
	to, err := strconv.ParseUint(last, 16, strconv.IntSize)
	if err != nil {
		return area{}
	}
	return area{uintptr(from), uintptr(to)}
}
