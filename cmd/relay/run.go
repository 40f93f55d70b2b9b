// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/certlink/certlink/relay/config"
)

// options are the command line.
type options struct {
	file        string
	level       slog.Level
	version     bool
	printConfig bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("certlink-relay", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.file, "config", "", "configuration `file` (YAML); it is read again when it changes")
	flags.TextVar(&o.level, "log-level", slog.LevelInfo, "lowest `level` that is logged: DEBUG, INFO, WARN or ERROR")
	flags.BoolVar(&o.version, "version", false, "print the version and exit")
	flags.BoolVar(&o.printConfig, "print-config", false, "check the configuration, print it with all defaults and exit")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unknown argument %q: the relay takes flags only", flags.Arg(0))
	}
	if o.file == "" && !o.version {
		return options{}, errors.New("--config FILE is missing")
	}
	return o, nil
}

// run does what the command line asks for, until the context ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.version {
		_, err := fmt.Fprintln(stdout, release())
		return err
	}
	data, err := readConfig(o.file)
	if err != nil {
		return err
	}
	cfg, err := config.Decode(data)
	if err != nil {
		return fmt.Errorf("reading configuration %q: %w", o.file, err)
	}
	if o.printConfig {
		effective, err := config.Encode(cfg)
		if err != nil {
			return err
		}
		_, err = stdout.Write(effective)
		return err
	}
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: o.level}))
	return serve(ctx, log, newLive(o.file, cfg, config.Checksum(data)))
}

// version is set by the linker.
var version string

// release is the version of the build, or else the commit.
func release() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return v
}

// readConfig reads no more of the file than Decode would take.
func readConfig(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, config.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading configuration %q: %w", file, err)
	}
	return data, nil
}
