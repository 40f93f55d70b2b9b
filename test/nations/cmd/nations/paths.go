// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/test/nations"
)

const pathHelp = `

Without --one-way it holds in both directions. --to names one address of TO: only packets to it, and its answers, are
meant; --from names one address of FROM in the same way. Pods appear under their node's address. A packet fares as
every command that concerns it says: it is dropped if one of them cuts it, and delays add up.`

// pathCommand is a command about the path between two nations, which are its first two arguments.
func pathCommand(use, short string, args int, act func(context.Context, []nations.Direction, string) error) *cobra.Command {
	var oneWay bool
	var from, to string
	cmd := &cobra.Command{
		Use: use, Short: short, Long: short + "." + pathHelp, Args: cobra.ExactArgs(args), ValidArgs: nations.Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			d := nations.Direction{From: args[0], To: args[1]}
			for text, address := range map[*string]*netip.Addr{&from: &d.FromAddress, &to: &d.ToAddress} {
				if *text == "" {
					continue
				}
				var err error
				if *address, err = netip.ParseAddr(*text); err != nil {
					return fmt.Errorf("reading an address (such as 198.18.0.201): %w", err)
				}
			}
			directions := nations.Around(d)
			if oneWay {
				directions = directions[:1]
			}
			return act(cmd.Context(), directions, strings.Join(args[2:], ""))
		},
	}
	cmd.Flags().BoolVar(&oneWay, "one-way", false, "only from the first nation to the second")
	cmd.Flags().StringVar(&from, "from", "", "only this address of the first nation")
	cmd.Flags().StringVar(&to, "to", "", "only this address of the second nation")
	return cmd
}

func cut() *cobra.Command {
	return pathCommand("cut FROM TO", "Drop every packet between two nations", 2,
		func(ctx context.Context, d []nations.Direction, _ string) error { return nations.Cut(ctx, d) })
}

func delay() *cobra.Command {
	return pathCommand("delay FROM TO DURATION", "Delay every packet, in each direction by DURATION", 3,
		func(ctx context.Context, d []nations.Direction, text string) error {
			by, err := time.ParseDuration(text)
			if err != nil {
				return fmt.Errorf("reading the delay (such as 150ms): %w", err)
			}
			return nations.Delay(ctx, by, d)
		})
}

func loss() *cobra.Command {
	return pathCommand("loss FROM TO PERCENT", "Lose a share of the packets", 3,
		func(ctx context.Context, d []nations.Direction, text string) error {
			percent, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
			if err != nil {
				return fmt.Errorf("reading the percentage (such as 5): %w", err)
			}
			return nations.Loss(ctx, percent, d)
		})
}

func restore() *cobra.Command {
	cmd := pathCommand("restore [FROM TO]", "Make paths perfect again (default all)", 2,
		func(ctx context.Context, d []nations.Direction, _ string) error { return nations.Restore(ctx, d) })
	some := cmd.RunE
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 0 && len(args) != 2 {
			return fmt.Errorf("%d nations given: give two, or none for all paths", len(args))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			if cmd.Flags().Changed("to") || cmd.Flags().Changed("from") || cmd.Flags().Changed("one-way") {
				return errors.New("give the two nations, too")
			}
			return nations.Restore(cmd.Context(), nil)
		}
		return some(cmd, args)
	}
	return cmd
}

// nationCommand is a command about one nation.
func nationCommand(use, short string, act func(*nations.Nation, context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1), ValidArgs: nations.Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := nations.Get(args[0])
			if err != nil {
				return err
			}
			return act(n, cmd.Context())
		},
	}
}

func stopAPI() *cobra.Command {
	return nationCommand("stop-api NAME", "Kill a nation's API server and keep it down", (*nations.Nation).StopAPIServer)
}

func startAPI() *cobra.Command {
	return nationCommand("start-api NAME", "Start a nation's API server and wait until it is ready", (*nations.Nation).StartAPIServer)
}
