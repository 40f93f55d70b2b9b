// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

func hotlineCommand(o *options) *cobra.Command {
	return group(&cobra.Command{
		Use:     "hotline",
		Aliases: []string{"hl"},
		Short:   "Send, read and acknowledge messages",
	}, lineCheckCommand(o), lineRecordCommand(o), exerciseCommand(o), sendCommand(o), inboxCommand(o), messagesCommand(o), threadCommand(o), showCommand(o), attachmentCommand(o), ackCommand(o), draftsCommand(o), draftCommand(o), escalationsCommand(o), notifyTestCommand(o))
}

// atRelay is a command's run that asks our relay something within a time.
func (o *options) atRelay(otherwise time.Duration, fn func(ctx context.Context, relay *relayclient.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, cancel := o.within(cmd, otherwise)
		defer cancel()
		return o.withRelay(ctx, func(_ *session, relay *relayclient.Client) error { return fn(ctx, relay, args) })
	}
}

// withRelay runs fn with a client of our relay.
func (o *options) withRelay(ctx context.Context, fn func(*session, *relayclient.Client) error) error {
	s, err := o.session()
	if err != nil {
		return err
	}
	relay, done, err := s.relay(ctx)
	if err != nil {
		return err
	}
	defer done()
	return s.explain(fn(s, relay))
}

// explain adds to a refusal that the name which was given is no officer's: the shared
// certificate was used then, which may do less.
func (s *session) explain(err error) error {
	if s.unknown != "" && relayclient.IsStatus(err, http.StatusForbidden) {
		return fmt.Errorf("%w; %s", err, s.unknown)
	}
	return err
}

// officer is who acts: that of the certificate, else as given, else the user of the kubeconfig as the API
// server knows it.
func (s *session) officer(ctx context.Context, given string) (string, error) {
	if s.named != "" {
		return s.named, nil // what the certificate says, whatever was given
	}
	if given != "" {
		return given, nil
	}
	review := &authenticationv1.SelfSubjectReview{}
	if err := s.client.Create(ctx, review); err != nil {
		return "", fmt.Errorf("asking the API server who you are (give --officer instead): %w", err)
	}
	name := review.Status.UserInfo.Username
	if name == "" {
		return "", errors.New("the API server does not say who you are: give --officer")
	}
	if len(name) > desk.MaxOfficerBytes {
		return "", fmt.Errorf("your user name is longer than %d bytes: give --officer", desk.MaxOfficerBytes)
	}
	return name, nil
}

// notFound explains an id that no message has.
func notFound(err error, id, where string) error {
	if errors.Is(err, relayclient.ErrNotFound) || relayclient.IsStatus(err, 404) {
		return fmt.Errorf("no message %q is in %s: list them with kubectl certlink hotline list", id, where)
	}
	return err
}

// words completes the values of a flag that takes one of few words.
func words(cmd *cobra.Command, flag string, values ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// oneOf checks a flag that takes one of few words.
func oneOf(flag, value string, values ...string) error {
	if slices.Contains(values, value) {
		return nil
	}
	return fmt.Errorf("--%s %q is not one of %v", flag, value, values)
}
