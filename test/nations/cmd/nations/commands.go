// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/test/nations"
)

const long = `Raise real Kubernetes clusters, one for each nation, on this machine.

A nation is one node with the whole control plane, containerd, cluster DNS, cert-manager, storage classes "standard"
and "bounded", enforced NetworkPolicies and LoadBalancer addresses, in namespaces of its own. The nations reach each
other and nothing else; any name below alfa.test leads to alfa's first LoadBalancer address, in every nation. A Service
with the annotation nations.test/addresses: "2" gets two addresses, whose paths can be cut apart: cut --to ADDRESS.

Needs Linux, root and Go. The programs are built on first use (about 13 minutes on two cores) and kept in
${XDG_CACHE_HOME:-~/.cache}/certlink; later the nations are up within a minute.`

const example = `  nations up                                  # alfa and bravo
  kubectl --kubeconfig .nations/alfa.kubeconfig get nodes
  nations image alfa certlink.test/relay:dev bin/relay=/relay --entrypoint /relay --user 65532
  nations cut alfa bravo --one-way            # alfa's packets no longer reach bravo
  nations cut alfa bravo --to 198.18.0.201    # one of bravo's addresses; --one-way: only packets to it
  nations delay alfa bravo 150ms              # 300 ms round trip
  nations restore
  nations kill bravo demo relay-0             # SIGKILL to the container's first process
  nations stop-api alfa
  nations up                                  # repairs everything
  nations down`

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use: "nations", Short: "Real Kubernetes clusters for tests, on one machine", Long: long, Example: example,
		SilenceUsage: true, SilenceErrors: true,
	}
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.AddCommand(up(), down(), status(), kubeconfig(), build(), tool(), image(), kill(), logs(), execute(),
		stopAPI(), startAPI(), cut(), delay(), loss(), restore())
	cmd.AddCommand(internal()...)
	return cmd
}

func up() *cobra.Command {
	var options nations.Options
	cmd := &cobra.Command{
		Use: "up [NAME...]", Short: "Raise nations, or repair those that are up", ValidArgs: nations.Names(),
		Long: "Raise nations, or repair those that are up: what runs is kept, what is dead is started again.\n" +
			"The names are " + strings.Join(nations.Names(), ", ") + "; without names, the first N.",
		RunE: func(cmd *cobra.Command, names []string) error {
			options.Names, options.Output = names, cmd.ErrOrStderr()
			_, err := nations.Up(cmd.Context(), options)
			return err
		},
	}
	cmd.Flags().IntVarP(&options.N, "number", "n", 2, "how many nations")
	cmd.Flags().BoolVar(&options.Fresh, "fresh", false, "take them down first, with everything in them")
	cmd.Flags().StringVar(&options.KubeconfigDir, "kubeconfigs", "", "where NAME.kubeconfig is left (default .nations in the repository)")
	return cmd
}

func down() *cobra.Command {
	return &cobra.Command{
		Use: "down [NAME...]", Short: "End nations, with everything in them (default all)", ValidArgs: nations.Names(),
		RunE: func(cmd *cobra.Command, names []string) error { return nations.Down(cmd.Context(), names...) },
	}
}

func status() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show what runs and how the paths are", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := nations.Running()
			if err != nil {
				return err
			}
			if len(all) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "no nation is up")
				return nil
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "NATION\tSTATE\tKUBECONFIG")
			for _, n := range all {
				health, err := n.Health(cmd.Context())
				if err != nil {
					health = err.Error()
				}
				fmt.Fprintf(table, "%s\t%s\t%s\n", n.Name, health, n.Kubeconfig())
			}
			paths, err := nations.Paths(cmd.Context())
			if err != nil {
				return errors.Join(table.Flush(), err)
			}
			fmt.Fprintln(table, "\nPATH\tCUT\tDELAY\tLOSS\tPACKETS\tDROPPED")
			for _, p := range paths {
				fmt.Fprintf(table, "%s\t%t\t%s\t%g%%\t%d\t%d\n", p.Direction, p.Cut, p.Delay, p.Loss, p.Packets, p.Dropped)
			}
			return table.Flush()
		},
	}
}

func kubeconfig() *cobra.Command {
	return &cobra.Command{
		Use: "kubeconfig NAME", Short: "Print the path of a nation's kubeconfig", Args: cobra.ExactArgs(1), ValidArgs: nations.Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := nations.Get(args[0])
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), n.Kubeconfig())
			}
			return err
		},
	}
}

func build() *cobra.Command {
	return &cobra.Command{
		Use: "build", Short: "Build the clusters' programs, unless they are there", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return nations.Build(cmd.Context(), cmd.ErrOrStderr())
		},
	}
}

func tool() *cobra.Command {
	return &cobra.Command{
		Use: "tool {kubectl|helm|envtest}", Short: "Print the path of a pinned tool, building it on first use",
		Long: "Print the path of a pinned tool, building it on first use.\n" +
			"envtest is the directory with kube-apiserver, etcd and kubectl, for KUBEBUILDER_ASSETS.",
		Args: cobra.ExactArgs(1), ValidArgs: []string{"kubectl", "helm", "envtest"},
		RunE: func(cmd *cobra.Command, args []string) error {
			find := nations.Tool
			if args[0] == "envtest" {
				path, err := nations.EnvtestAssets(cmd.Context())
				fmt.Fprintln(cmd.OutOrStdout(), path)
				return err
			}
			path, err := find(cmd.Context(), args[0])
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), path)
			}
			return err
		},
	}
}

func image() *cobra.Command {
	var wanted nations.Image
	cmd := &cobra.Command{
		Use: "image NAME REF FILE=/PATH...", Short: "Make an image from static programs and put it into a nation",
		Args: cobra.MinimumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := nations.Get(args[0])
			if err != nil {
				return err
			}
			wanted.Ref, wanted.Files = args[1], map[string]string{}
			for _, pair := range args[2:] {
				file, at, found := strings.Cut(pair, "=")
				if !found || !filepath.IsAbs(at) {
					return fmt.Errorf("%q: it must be FILE=/PATH, where /PATH is the place in the image", pair)
				}
				wanted.Files[file] = at
			}
			return n.InstallImage(cmd.Context(), wanted)
		},
	}
	cmd.Flags().StringSliceVar(&wanted.Entrypoint, "entrypoint", nil, "command of the image, comma separated")
	cmd.Flags().StringVar(&wanted.User, "user", "", "user of the image (65532 is nonroot; default root)")
	return cmd
}

func kill() *cobra.Command {
	return &cobra.Command{
		Use: "kill NAME NAMESPACE POD [CONTAINER]", Short: "SIGKILL the first process of a pod's container", Args: cobra.RangeArgs(3, 4),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := nations.Get(args[0])
			if err != nil {
				return err
			}
			return n.KillPod(cmd.Context(), args[1], args[2], strings.Join(args[3:], ""))
		},
	}
}

func logs() *cobra.Command {
	return &cobra.Command{
		Use: "logs NAME [PROCESS]", Short: "Print the log of a nation's process, or name them", Args: cobra.RangeArgs(1, 2), ValidArgs: nations.Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := nations.Get(args[0])
			if err != nil {
				return err
			}
			if len(args) == 1 {
				for _, name := range n.Logs() {
					fmt.Fprintf(cmd.OutOrStdout(), "%-24s %s\n", name, n.Log(name))
				}
				return nil
			}
			text, err := os.ReadFile(n.Log(args[1]))
			if err != nil {
				return fmt.Errorf("reading a log (the processes are %s): %w", strings.Join(n.Logs(), ", "), err)
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}

func execute() *cobra.Command {
	return &cobra.Command{
		Use: "exec NAME -- COMMAND...", Short: "Run a command on a nation's node", Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := nations.Get(args[0])
			if err != nil {
				return err
			}
			command, err := n.Command(cmd.Context(), args[1:]...)
			if err != nil {
				return err
			}
			command.Stdin, command.Stdout, command.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			return command.Run()
		},
	}
}
