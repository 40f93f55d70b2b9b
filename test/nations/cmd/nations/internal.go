// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/test/nations/internal/boot"
	"github.com/certlink/certlink/test/nations/internal/hub"
	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/nations/internal/node"
	"github.com/certlink/certlink/test/nations/internal/noded"
)

// internal are the roles that this program takes when the harness starts it again.
func internal() []*cobra.Command {
	role := func(name string, act func(*cobra.Command, string) error) *cobra.Command {
		return &cobra.Command{
			Use: name, Hidden: true, Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return act(cmd, args[0]) },
		}
	}
	return []*cobra.Command{
		role(hub.Command, func(cmd *cobra.Command, state string) error {
			return hub.Run(cmd.Context(), layout.State(state), logger(cmd))
		}),
		role(boot.LaunchCommand, func(cmd *cobra.Command, dirs string) error { return boot.Launch(cmd.Context(), layout.Dirs(dirs)) }),
		role(boot.InitCommand, func(cmd *cobra.Command, dirs string) error {
			// A signal must not end a nation half-way: it ends with its first process.
			return boot.Init(context.WithoutCancel(cmd.Context()), layout.Dirs(dirs), logger(cmd))
		}),
		nodeDaemon(),
	}
}

func logger(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
}

func nodeDaemon() *cobra.Command {
	var cfg noded.Config
	var name string
	cmd := &cobra.Command{
		Use: node.Daemon, Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if cfg.Nation, err = layout.Find(name); err != nil {
				return err
			}
			cfg.Log = logger(cmd)
			return noded.Run(cmd.Context(), cfg)
		},
	}
	cmd.Flags().StringVar(&name, "nation", "", "name of the nation")
	cmd.Flags().StringVar(&cfg.Kubeconfig, "kubeconfig", "", "kubeconfig of the daemon")
	cmd.Flags().StringVar(&cfg.Volumes, "volumes", "", "directory below which volumes are made")
	return cmd
}
