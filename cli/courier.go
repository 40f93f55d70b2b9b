// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/courier"
)

// courierTimeout is for a set on a slow medium.
const courierTimeout = 12 * time.Hour

// partSize is the largest size of a file, as 700M or 4G.
type partSize int64

// String implements pflag.Value.
func (s *partSize) String() string { return strconv.FormatInt(int64(*s), 10) }

// Type implements pflag.Value.
func (*partSize) Type() string { return "size" }

var sizeShape = regexp.MustCompile(`^([1-9][0-9]{0,15})([kKMG]?)$`)

// Set implements pflag.Value. Sizes are decimal, as those printed on media.
func (s *partSize) Set(text string) error {
	m := sizeShape.FindStringSubmatch(text)
	if m == nil {
		return errors.New("it is a number with k, M or G, such as 25M, 700M or 4G")
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	unit := map[string]int64{"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}[m[2]]
	if err != nil || n > math.MaxInt64/unit || n*unit < courier.MinPart {
		return fmt.Errorf("it is at least %d bytes", courier.MinPart)
	}
	*s = partSize(n * unit)
	return nil
}

func courierCommand(o *options) *cobra.Command {
	return group(&cobra.Command{
		Use:   "courier",
		Short: "Carry what waits on a hotline by hand, when every line is down",
	}, courierExportCommand(o), courierImportCommand(o))
}

func courierExportCommand(o *options) *cobra.Command {
	var output format
	directory, size := ".", partSize(4e9)
	cmd := &cobra.Command{
		Use:   "export HOTLINE",
		Short: "Write all that waits for a peer into sealed files",
		Long: `Write all that waits for the peer of a hotline into files that only its relay can open:
messages with their attachments, and the receipts for what a courier brought from there.
They are signed as one set, and split to the size of the medium. Nothing is marked as
delivered: messages stay queued until the peer's receipt comes back, by whatever way, so
that a set may be lost, or carried twice.

The relay must have learned the peer's key while the direct link was up.`,
		Example: `  kubectl certlink courier export to-bravo -d /media/usb
  kubectl certlink courier export to-bravo -d . --max-size 25M`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeHotlines,
		RunE: o.atRelay(courierTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.courierExport(ctx, relay, args[0], directory, int64(size), &output)
		}),
	}
	cmd.Flags().StringVarP(&directory, "directory", "d", directory, "where the files go; it must exist")
	cmd.Flags().Var(&size, "max-size", "largest size of a file: 25M, 700M, 4G")
	output.addTo(cmd)
	return cmd
}

// exported is what export prints.
type exported struct {
	courier.Summary
	Files []string `json:"files"`
}

func (o *options) courierExport(ctx context.Context, relay *relayclient.Client, hotline, directory string, size int64, output *format) error {
	// The relay notes in the journal what it hands out: a wrong directory is told before.
	if info, err := os.Stat(directory); err != nil {
		return fmt.Errorf("-d: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("-d %s: it is no directory", directory)
	}
	export, err := relay.ExportCourier(ctx, hotline)
	if relayclient.IsStatus(err, 404) {
		return noHotline(err, hotline)
	}
	if err != nil {
		return err
	}
	defer export.Stream.Close()
	name := export.To + "-" + export.Set[:min(8, len(export.Set))]
	split, err := courier.NewSplitter(directory, name, export.Set, export.From, export.To, size)
	if err != nil {
		return err
	}
	defer split.Discard()
	if _, err := io.Copy(split, export.Stream); err != nil {
		return fmt.Errorf("writing files: %w", err)
	}
	summary, err := export.Summary()
	if err != nil {
		return err
	}
	files, err := split.Commit()
	if err != nil {
		return err
	}
	if err := o.printExport(summary, files, output); err != nil {
		return err
	}
	for _, missing := range summary.Refused {
		fmt.Fprintf(o.ErrOut, "set %s: not in it: %s\n", summary.Set, oneLine(missing))
	}
	if n := len(summary.Refused); n > 0 {
		return fmt.Errorf("the set is written and may be carried, but it lacks %d attachments, which are named above", n)
	}
	return nil
}

func (o *options) printExport(summary courier.Summary, files []string, output *format) error {
	if *output != asTable {
		return output.document(o.Out, exported{Summary: summary, Files: files})
	}
	fmt.Fprintf(o.Out, "set %s from %s to %s: %d messages, %d attachments, %d answers\n", summary.Set, oneLine(summary.From), oneLine(summary.To), summary.Messages, summary.Attachments, summary.Answers)
	for _, file := range files {
		fmt.Fprintln(o.Out, file)
	}
	if summary.More {
		fmt.Fprintln(o.Out, "more messages wait than a set holds: export again when the answers to this one have come back")
	}
	return nil
}

func courierImportCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Take in what a courier brought",
		Long: `Take in the files of one or more sets, in any order; a directory stands for all *.certlink
in it. Each set is verified to its end before anything of it counts. A file that is damaged
or foreign is named, and so are parts that are missing; nothing of their set is taken in
then. Sets may be taken in again: what is stored already is not stored twice.

Export to the same hotline afterwards: it takes our receipts back.`,
		Example: `  kubectl certlink courier import /media/usb
  kubectl certlink courier import *.certlink`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := courierFiles(args)
			if err != nil {
				return err
			}
			ctx, cancel := o.within(cmd, courierTimeout)
			defer cancel()
			return o.withRelay(ctx, func(_ *session, relay *relayclient.Client) error {
				return o.courierImport(ctx, relay, files, &output)
			})
		},
	}
	output.addTo(cmd)
	return cmd
}

// courierFiles puts the files of a directory in its place.
func courierFiles(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		entries, err := os.ReadDir(arg)
		if err != nil {
			return nil, err
		}
		before := len(files)
		for _, e := range entries {
			if e.Type().IsRegular() && strings.HasSuffix(e.Name(), courier.Extension) {
				files = append(files, filepath.Join(arg, e.Name()))
			}
		}
		if len(files) == before {
			return nil, fmt.Errorf("there is no *%s in %s", courier.Extension, arg)
		}
	}
	return files, nil
}

func (o *options) courierImport(ctx context.Context, relay *relayclient.Client, files []string, output *format) error {
	sets, bad := courier.Sort(files)
	for _, err := range bad {
		fmt.Fprintln(o.ErrOut, oneLine(err.Error()))
	}
	failed, own := len(bad), 0
	summaries := []courier.Summary{}
	for _, set := range sets {
		summary, err := takeIn(ctx, relay, set)
		if relayclient.IsStatus(err, http.StatusMisdirectedRequest) {
			own++
			fmt.Fprintf(o.ErrOut, "set %s is one of ours, for %s: it is passed over\n", set.ID, oneLine(set.To))
			continue
		}
		if err != nil {
			failed++
			fmt.Fprintf(o.ErrOut, "set %s from %s: nothing of it was taken in, or not all: %s\n", set.ID, oneLine(set.From), oneLine(err.Error()))
			continue
		}
		failed += len(summary.Refused)
		summaries = append(summaries, summary)
	}
	if err := o.printImports(summaries, output); err != nil {
		return err
	}
	if failed == 0 && own > 0 && own == len(sets) {
		return errors.New("nothing was taken in: our own relay made all of it")
	}
	if failed > 0 {
		return fmt.Errorf("not all of it was taken in: %d faults are named above", failed)
	}
	return nil
}

// takeIn verifies a set to its end, and then takes it in.
func takeIn(ctx context.Context, relay *relayclient.Client, set *courier.Set) (courier.Summary, error) {
	var summary courier.Summary
	for _, step := range []func(context.Context, string, io.Reader) (courier.Summary, error){relay.CheckCourier, relay.ImportCourier} {
		stream, err := set.Open()
		if err != nil {
			return summary, err
		}
		summary, err = step(ctx, set.From, stream)
		if err = errors.Join(err, stream.Close()); err != nil {
			return summary, err
		}
		if summary.Set != set.ID {
			return summary, fmt.Errorf("inside it is set %s: its headers were exchanged", summary.Set)
		}
	}
	return summary, nil
}

func (o *options) printImports(summaries []courier.Summary, output *format) error {
	if *output != asTable {
		return output.document(o.Out, summaries)
	}
	if len(summaries) == 0 {
		return nil
	}
	rows := [][]string{{"SET", "FROM", "MADE", "MESSAGES", "ATTACHMENTS", "ANSWERS", "REFUSED"}}
	for _, s := range summaries {
		rows = append(rows, []string{s.Set, s.From, stamp(s.At), strconv.Itoa(s.Messages), strconv.Itoa(s.Attachments), strconv.Itoa(s.Answers), strconv.Itoa(len(s.Refused))})
	}
	if err := table(o.Out, rows); err != nil {
		return err
	}
	for _, s := range summaries {
		for _, refused := range s.Refused {
			fmt.Fprintf(o.ErrOut, "set %s: refused: %s\n", s.Set, oneLine(refused))
		}
	}
	return nil
}
