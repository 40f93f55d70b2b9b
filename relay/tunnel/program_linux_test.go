// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const someMaps = `00400000-01320000 r-xp 00000000 fe:00 42                         /usr/bin/relay
Size:              15488 kB
Rss:               12928 kB
Anonymous:             0 kB
Swap:                  0 kB
SwapPss:               0 kB
VmFlags: rd ex mr mw me
01320000-022be000 r--p 00f20000 fe:00 42                         /usr/bin/relay
Rss:                   4 kB
Anonymous:             0 kB
Swap:                  0 kB
022be000-02383000 rw-p 01ebe000 fe:00 42                         /usr/bin/relay
Rss:                   4 kB
Anonymous:             0 kB
Swap:                  0 kB
02383000-02400000 r--p 02000000 fe:00 42                         /usr/bin/relay
Rss:                 500 kB
Anonymous:           448 kB
Swap:                  0 kB
02400000-02500000 r--p 00000000 fe:00 42                         /usr/bin/relay.old
Rss:                   4 kB
Anonymous:             0 kB
Swap:                  0 kB
02500000-02600000 r--s 00000000 fe:00 42                         /usr/bin/relay
Rss:                   4 kB
Anonymous:             0 kB
Swap:                  0 kB
113700000000-113700001000 r-xp 00000000 00:00 0
Rss:                   4 kB
Anonymous:             0 kB
Swap:                  0 kB
7fff00000000-7fff00001000 r-xp 00000000 00:00 0                  [vdso]
Rss:                   4 kB
Anonymous:             0 kB
Swap:                  0 kB
`

// oneArea is an area of the program with these kB in memory, changed, and changed and swapped out.
func oneArea(rss, anonymous, swapped string) string {
	return "1000-2000 r--p 00000000 fe:00 42 /usr/bin/relay\nRss: " + rss + " kB\nAnonymous: " + anonymous + " kB\nSwap: " + swapped + " kB\nSwapPss: 0 kB\n"
}

func TestOnlyWhatIsAsOnDiskCanBeReadAgain(t *testing.T) {
	for name, c := range map[string]struct {
		maps, file string
		want       []area
	}{
		"a program":                     {someMaps, "/usr/bin/relay", []area{{0x400000, 0x1320000}, {0x1320000, 0x22be000}}},
		"a program that is not mapped":  {someMaps, "/usr/bin/other", nil},
		"no name":                       {someMaps, "", nil},
		"a name with a space":           {strings.ReplaceAll(someMaps, "relay", "the relay (deleted)"), "/usr/bin/the relay (deleted)", []area{{0x400000, 0x1320000}, {0x1320000, 0x22be000}}},
		"nothing":                       {"", "/usr/bin/relay", nil},
		"as on disk":                    {oneArea("4", "0", "0"), "/usr/bin/relay", []area{{0x1000, 0x2000}}},
		"changed":                       {oneArea("4", "4", "0"), "/usr/bin/relay", nil},
		"changed, and swapped out":      {oneArea("4", "0", "4"), "/usr/bin/relay", nil},
		"not in memory":                 {oneArea("0", "0", "0"), "/usr/bin/relay", nil},
		"no word of what was changed":   {strings.ReplaceAll(oneArea("4", "0", "0"), "Anonymous", "Other"), "/usr/bin/relay", nil},
		"no word of what is in memory":  {strings.ReplaceAll(oneArea("4", "0", "0"), "Rss", "Other"), "/usr/bin/relay", nil},
		"no word of what is swapped":    {strings.ReplaceAll(oneArea("4", "0", "0"), "Swap:", "Other:"), "/usr/bin/relay", nil},
		"an area that cannot be read":   {strings.ReplaceAll(oneArea("4", "0", "0"), "1000-2000", "x-y"), "/usr/bin/relay", nil},
		"an area that ends too early":   {strings.ReplaceAll(oneArea("4", "0", "0"), "1000-2000", "2000-1000"), "/usr/bin/relay", nil},
		"an area beyond all memory":     {strings.ReplaceAll(oneArea("4", "0", "0"), "1000-2000", "0-11111111111111111111"), "/usr/bin/relay", nil},
		"numbers of no area":            {"Rss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB\n", "/usr/bin/relay", nil},
		"something else after the area": {"1000-2000 r-xp 00000000 fe:00 42 /usr/bin/relay\nRss: 4 kB\n3000-4000 rw-p 00000000 00:00 0\nRss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB\n", "/usr/bin/relay", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := unchanged([]byte(c.maps), c.file); !slices.Equal(got, c.want) {
				t.Errorf("%#x, not %#x", got, c.want)
			}
		})
	}
}

func FuzzUnchanged(f *testing.F) {
	f.Add([]byte(someMaps), "/usr/bin/relay")
	f.Add([]byte("1000-2000 r-xp 0 0 /\nRss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB\n"), "/")
	f.Fuzz(func(t *testing.T, maps []byte, file string) {
		for _, a := range unchanged(maps, file) {
			if a.from >= a.to {
				t.Errorf("%#x", a)
			}
		}
	})
}

func TestTheProgramGoesOnWithoutItsPages(t *testing.T) {
	fillProgram(t)
	before := residentProgram(t)
	for range 3 {
		if err := unmapProgram(); err != nil {
			t.Fatal(err)
		}
	}
	after := residentProgram(t)
	t.Logf("%d kB before, %d after", before, after)
	if after >= before {
		t.Errorf("%d kB of the program are in memory, %d before", after, before)
	}
}

// fillProgram brings this program into memory, if the kernel can do that (since 5.14): what has been read of it by
// now may be little more than what a test needs.
func fillProgram(t *testing.T) {
	t.Helper()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range unchanged(smaps, program) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, a.from, a.to-a.from, unix.MADV_POPULATE_READ)
	}
}

// residentProgram is how many kB of what can only be read of this program are in memory.
func residentProgram(t *testing.T) (sum int) {
	t.Helper()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	ours := false
	for line := range strings.Lines(string(smaps)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 5 && strings.Contains(fields[0], "-"):
			ours = strings.HasSuffix(line, " "+program+"\n") && !strings.Contains(fields[1], "w")
		case ours && fields[0] == "Rss:":
			kB, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			sum += kB
		}
	}
	return sum
}
