// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
)

const (
	waitReceipt         = "receipt"
	waitAcknowledgement = "acknowledgement"
	stateQueued         = "Queued"
	stateAcknowledged   = "Acknowledged"
)

var (
	messageKinds = []string{"INQUIRY", "ANSWER", "NOTIFICATION", "PRESERVE", "PRESERVE_ACK", "EXTEND", "RELEASE", "DOCUMENT", "CORRECT", "CANCEL"}
	precedences  = []string{"FLASH", "IMMEDIATE", "PRIORITY", "ROUTINE"}
	tlpLevels    = []string{"CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"}
)

// sendFlags are those of hotline send.
type sendFlags struct {
	request desk.SendRequest
	content contentFlags
	attach  attachFlags
	file    string
	replyTo string
	wait    string
	output  format
	// answered is the precedence of what the message answers; empty where it answers nothing.
	answered string
}

func sendCommand(o *options) *cobra.Command {
	f := &sendFlags{}
	cmd := &cobra.Command{
		Use:   "send HOTLINE --subject SUBJECT [--text TEXT | --file FILE]",
		Short: "Send a message; when it returns, the message is on stable storage",
		Long: `Send a message on a hotline. The text comes from --text, --file or standard input.

When the command returns without error, our relay has the message on stable
storage and delivers it as soon as the peer can be reached; or, where the hotline
asks officers to release it first, it waits for them as a draft. --wait receipt waits
until the peer's relay has signed that it stored the message, --wait
acknowledgement until a duty officer there has signed that it was read.`,
		Example: `  kubectl certlink hotline send bravo --precedence FLASH --subject "Outage at sector X" --file report.txt
  kubectl certlink hotline send bravo --subject "The capture" --text "See the file." --attach capture.pcap --attach notes.txt
  echo "We see the same." | kubectl certlink hotline send bravo --reply-to 01J... --subject "Re: Outage" --wait receipt`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeHotlines,
		RunE: func(cmd *cobra.Command, args []string) error {
			limit := defaultTimeout
			if f.wait != "" || len(f.attach.files) > 0 {
				limit = longTimeout
			}
			ctx, cancel := o.within(cmd, limit)
			defer cancel()
			f.request.Hotline = args[0]
			return o.send(ctx, f)
		},
	}
	f.addTo(cmd)
	return cmd
}

func (f *sendFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.request.Subject, "subject", "", "what it is about, one line")
	flags.StringVar(&f.request.Text, "text", "", "the text")
	flags.StringVarP(&f.file, "file", "f", "", "file with the text; - is standard input")
	flags.StringVar(&f.request.Precedence, "precedence", "", "FLASH, IMMEDIATE, PRIORITY or ROUTINE (default: that of what is corrected or cancelled, else of what is answered, else ROUTINE)")
	flags.StringVar(&f.request.Kind, "kind", "", "kind of message: "+strings.Join(messageKinds, ", ")+" (default: ANSWER with --reply-to, else NOTIFICATION)")
	flags.StringVar(&f.request.TLP, "tlp", "AMBER+STRICT", "CLEAR, GREEN, AMBER, AMBER+STRICT or RED")
	flags.StringVar(&f.request.Language, "language", "en", "language of subject and text (BCP 47)")
	flags.StringVar(&f.replyTo, "reply-to", "", "id of the received message that this one answers")
	flags.StringVar(&f.request.Officer, "officer", "", "who sends (default: your user name at the API server)")
	flags.StringVar(&f.request.Exercise, "exercise", "", "exercise that the message belongs to; the relay marks it as a test")
	flags.StringVar(&f.request.ID, "id", "", "ULID of the message, so that repeating the command is safe")
	flags.StringVar(&f.wait, "wait", "", "wait for the receipt or for the acknowledgement")
	f.content.addTo(cmd, &f.request)
	f.attach.addTo(cmd)
	f.output.addTo(cmd)
	cmd.MarkFlagsMutuallyExclusive("text", "file")
	words(cmd, "precedence", precedences...)
	words(cmd, "kind", messageKinds...)
	words(cmd, "tlp", tlpLevels...)
	words(cmd, "wait", waitReceipt, waitAcknowledgement)
}

// check looks at what needs no relay, so that mistakes are told at once.
func (f *sendFlags) check() error {
	var faults []error
	if f.request.Subject == "" {
		faults = append(faults, errors.New("--subject is missing"))
	}
	if len(f.request.Subject) > desk.MaxSubjectBytes {
		faults = append(faults, fmt.Errorf("--subject is longer than %d bytes", desk.MaxSubjectBytes))
	}
	if f.request.Precedence != "" {
		faults = append(faults, oneOf("precedence", f.request.Precedence, precedences...))
	}
	faults = append(faults, oneOf("tlp", f.request.TLP, tlpLevels...))
	if f.request.Kind != "" {
		faults = append(faults, oneOf("kind", f.request.Kind, messageKinds...))
	}
	if f.wait != "" {
		faults = append(faults, oneOf("wait", f.wait, waitReceipt, waitAcknowledgement))
	}
	return errors.Join(append(faults, f.missing()...)...)
}

// missing are flags that a kind of message cannot do without.
func (f *sendFlags) missing() (faults []error) {
	switch message.Kind(f.request.Kind) {
	case message.Answer, message.PreserveAck:
		if f.replyTo == "" {
			faults = append(faults, fmt.Errorf("--reply-to is missing: the id of the received message that this %s is to", f.request.Kind))
		}
	case message.Correct, message.Cancel, message.Extend, message.Release:
		if len(f.content.references) == 0 {
			faults = append(faults, fmt.Errorf("--about is missing: the id of the message of ours that this %s is about", f.request.Kind))
		}
	}
	switch message.Kind(f.request.Kind) {
	case message.Preserve, message.Extend:
		if len(f.content.preserve.Items) == 0 {
			faults = append(faults, fmt.Errorf("--preserve is missing: what this %s asks to be preserved", f.request.Kind))
		}
	}
	return faults
}

// readText fills in the text from --file or standard input.
func (o *options) readText(f *sendFlags) error {
	if f.request.Text != "" {
		return nil
	}
	in, name := o.In, "standard input"
	if f.file != "" && f.file != "-" {
		file, err := os.Open(f.file)
		if err != nil {
			return fmt.Errorf("reading the text: %w", err)
		}
		defer file.Close()
		in, name = file, f.file
	} else if f.file == "" && isTerminal(o.In) {
		fmt.Fprintln(o.ErrOut, "Type the text; end it with Ctrl-D on a line of its own.")
	}
	content, err := io.ReadAll(io.LimitReader(in, desk.MaxTextBytes+1))
	switch {
	case err != nil:
		return fmt.Errorf("reading the text from %s: %w", name, err)
	case len(content) > desk.MaxTextBytes:
		return fmt.Errorf("the text in %s is longer than %d bytes: shorten it, or share the rest in a feed", name, desk.MaxTextBytes)
	case strings.TrimSpace(string(content)) == "":
		return fmt.Errorf("the text in %s is empty: give --text TEXT, --file FILE, or write it to standard input", name)
	}
	f.request.Text = string(content)
	return nil
}

func (o *options) send(ctx context.Context, f *sendFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := f.content.fill(&f.request, o.now()); err != nil {
		return err
	}
	var err error
	if f.request.Attachments, err = f.attach.look(); err != nil {
		return err
	}
	if err := o.readText(f); err != nil {
		return err
	}
	return o.withRelay(ctx, func(s *session, relay *relayclient.Client) error {
		var err error
		if f.request.Officer, err = s.officer(ctx, f.request.Officer); err != nil {
			return err
		}
		if err := f.answers(ctx, relay); err != nil {
			return err
		}
		if err := f.urgency(ctx, relay); err != nil {
			return err
		}
		if err := o.upload(ctx, relay, f.request.Hotline, f.attach.files, f.request.Attachments); err != nil {
			return err
		}
		message, err := relay.Send(ctx, f.request)
		if err != nil {
			return err
		}
		o.caution(message)
		if message.State == desk.StateDraft {
			return o.printDrafted(f, message)
		}
		if f.output == asTable {
			fmt.Fprintf(o.Out, "%s stored on %s, serial %d\n", message.ID, clock(message.StoredAt), message.Serial)
		}
		if f.wait == "" {
			return o.printSent(f, message)
		}
		message, err = o.await(ctx, relay, message, f)
		if err != nil {
			return err
		}
		return o.printSent(f, message)
	})
}

// answers puts the message into the conversation of what it answers, if it does.
func (f *sendFlags) answers(ctx context.Context, relay *relayclient.Client) error {
	if f.replyTo == "" {
		return nil
	}
	answered, err := relay.Find(ctx, relayclient.In, f.replyTo)
	if err != nil {
		return notFound(err, f.replyTo, "the inbox")
	}
	f.request.InReplyTo, f.request.Conversation = answered.ID, answered.Conversation
	if f.request.Kind == "" {
		f.request.Kind = "ANSWER"
	}
	f.answered = answered.Precedence
	return nil
}

// urgency is that of what the message is about, where no other was asked for. A correction or
// cancellation is about what it marks, the most urgent of it, also where it answers something else:
// people act on a FLASH until they read that it was wrong. Any other is about what it answers.
func (f *sendFlags) urgency(ctx context.Context, relay *relayclient.Client) error {
	if f.request.Precedence != "" {
		return nil
	}
	about := []string{f.answered}
	if f.request.Kind == string(message.Correct) || f.request.Kind == string(message.Cancel) {
		about = nil
		for _, marked := range f.request.References {
			m, err := relay.Find(ctx, relayclient.Out, marked.ID)
			if err != nil {
				return notFound(err, marked.ID, "the outbox")
			}
			about = append(about, m.Precedence)
		}
	}
	f.request.Precedence = "ROUTINE"
	for _, precedence := range precedences {
		if slices.Contains(about, precedence) {
			f.request.Precedence = precedence
			break
		}
	}
	return nil
}

func (o *options) printSent(f *sendFlags, message desk.Message) error {
	if f.output != asTable {
		return f.output.document(o.Out, message)
	}
	return nil
}

// await asks until the message has what the user waits for, and tells what comes.
func (o *options) await(ctx context.Context, relay *relayclient.Client, message desk.Message, f *sendFlags) (desk.Message, error) {
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	told := stateQueued
	// A relay that restarts is asked again; why it could not be asked is told
	// when time is over.
	var unasked error
	for {
		latest, err := relay.Get(ctx, relayclient.Out, message.Peer, message.ID)
		if ctx.Err() == nil {
			unasked = err
		}
		if err == nil {
			message = latest
			if message.State != stateQueued && told == stateQueued {
				told = message.State
				o.tell(f, "%s received by the peer's relay on %s (signed receipt)\n", message.ID, clock(message.ReceiptAt))
			}
			if message.State == stateAcknowledged {
				o.tell(f, "%s read by %q on %s (signed acknowledgement)\n", message.ID, oneLine(message.AcknowledgedBy), clock(message.AcknowledgedAt))
				return message, nil
			}
			if f.wait == waitReceipt && message.State != stateQueued {
				return message, nil
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			err := fmt.Errorf("no %s for message %s yet: it stays on stable storage and goes on; see kubectl certlink hotline show %s", f.wait, message.ID, message.ID)
			return message, errors.Join(err, unasked)
		}
	}
}

func (o *options) tell(f *sendFlags, line string, args ...any) {
	if f.output == asTable {
		fmt.Fprintf(o.Out, line, args...)
	}
}
