// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

func profileCommand(o *options) *cobra.Command {
	var file string
	var seconds int
	kinds := []string{"cpu", "heap", "allocs", "goroutine"}
	cmd := &cobra.Command{
		Use:   "profile {cpu|heap|allocs|goroutine}",
		Short: "Write a profile of our relay's process, for go tool pprof",
		Long: fmt.Sprintf(`Write where our relay spends its processor time (cpu) or memory (heap, allocs), or what it
waits for (goroutine), in the format of pprof. A profile holds names of functions and
counts, no messages and no keys. A cpu profile takes --seconds, at most %d.`, desk.MaxProfileSeconds),
		Example: `  kubectl certlink profile cpu --seconds 20 -f relay-cpu.pprof && go tool pprof -top relay-cpu.pprof
  kubectl certlink profile heap -f relay-heap.pprof`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: kinds,
		RunE: o.atRelay(defaultTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			if seconds < 1 || seconds > desk.MaxProfileSeconds {
				return fmt.Errorf("--seconds %d is not one of 1 to %d", seconds, desk.MaxProfileSeconds)
			}
			var profile bytes.Buffer
			if err := relay.Profile(ctx, args[0], seconds, &profile); err != nil {
				return err
			}
			return o.writeProfile(file, profile.Bytes())
		}),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "where the profile is written; - is standard output")
	cmd.Flags().IntVar(&seconds, "seconds", 10, "how long a cpu profile takes")
	if err := cmd.MarkFlagRequired("file"); err != nil {
		panic(err) // the flag is named above
	}
	return cmd
}

func (o *options) writeProfile(file string, profile []byte) error {
	if file == "-" {
		_, err := o.Out.Write(profile)
		return err
	}
	if err := os.WriteFile(file, profile, 0o600); err != nil {
		return fmt.Errorf("writing the profile: %w", err)
	}
	fmt.Fprintf(o.ErrOut, "%s: %d bytes\n", file, len(profile))
	return nil
}
