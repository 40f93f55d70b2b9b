// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/remote"
)

const (
	// mailTimeout bounds one command and its answer.
	mailTimeout = 15 * time.Second
	// maxMailAnswers is how much a mail server may say on one connection, in bytes, with what TLS adds: its
	// lines have no end of their own, and before TLS anybody on the way may write them.
	maxMailAnswers = 1 << 20
)

// errTalks: the server, or whoever stands in its place, says more than any mail takes.
var errTalks = errors.New("the mail server says too much")

// errTLS: the configuration asks for what is never done.
var errTLS = errors.New("mail without TLS goes to this very host only, and without credentials")

// mailer sends e-mail. Package go-mail speaks SMTP, makes TLS mandatory where it is told
// so, and writes headers and bodies so that no content can break out of them.
type mailer struct {
	conf config.SMTP
	log  *slog.Logger
}

// Close implements Notifier.
func (*mailer) Close() {}

// Notify implements Notifier. One mail goes to all receivers; when the server refuses
// some of them, each gets his own, so that one wrong address silences nobody else.
func (m *mailer) Notify(ctx context.Context, n Notification) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	client, err := m.client(ctx)
	if err != nil {
		return err
	}
	err = m.send(ctx, client, n, m.conf.To...)
	refused, ok := errors.AsType[*mail.SendError](err)
	if !ok || refused.Reason != mail.ErrSMTPRcptTo || len(m.conf.To) == 1 {
		return err
	}
	told := 0
	for _, to := range m.conf.To {
		if ctx.Err() != nil { // a slow server, and many receivers
			break
		}
		one := m.send(ctx, client, n, to)
		if one == nil {
			told++
			continue
		}
		err = one
		m.log.WarnContext(ctx, "the mail server refuses a receiver", "hotline", n.Hotline, "error", Explain(one))
	}
	if told > 0 {
		return nil
	}
	return err
}

// client is one for the files as they are now, all of whose connections end with ctx.
func (m *mailer) client(ctx context.Context) (*mail.Client, error) {
	host, port, err := net.SplitHostPort(m.conf.Server)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the mail server: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("reading the port of the mail server: %w", err)
	}
	var secrets remote.Credentials
	if files := m.conf.Files(); files != (config.Remote{}) {
		if secrets, err = remote.ReadCredentials(files); err != nil {
			return nil, err
		}
	}
	opts := []mail.Option{mail.WithPort(int(number)), mail.WithTimeout(mailTimeout)}
	dial := dialTerse
	switch m.conf.TLS {
	case config.MailPlainLoopback:
		if !config.IsLoopback(m.conf.Server) || secrets.Username != "" {
			return nil, errTLS
		}
		opts = append(opts, mail.WithTLSPolicy(mail.NoTLS))
	case config.MailStartTLS:
		opts = append(opts, mail.WithTLSPolicy(mail.TLSMandatory))
	default:
		opts = append(opts, mail.WithSSL())
		dial = dialTLS(host, &secrets)
	}
	if secrets.TLS != nil {
		secrets.TLS.ServerName = host
		opts = append(opts, mail.WithTLSConfig(secrets.TLS))
	}
	if secrets.Username != "" {
		opts = append(opts, mail.WithOpportunisticSMTPAuth(logins...), mail.WithUsername(secrets.Username), mail.WithPassword(secrets.Password))
	}
	return mail.NewClient(host, append(opts, mail.WithDialContextFunc(untilDone(ctx, dial)))...)
}

// dialTerse opens a connection on which the other side may say maxMailAnswers.
func dialTerse(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &terse{Conn: conn, left: maxMailAnswers}, nil
}

// dialTLS is dialTerse with TLS from the first byte.
func dialTLS(host string, secrets *remote.Credentials) mail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialTerse(ctx, network, address)
		if err != nil {
			return nil, err
		}
		conf := secrets.TLS
		if conf == nil {
			conf = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
		}
		secure := tls.Client(conn, conf)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return secure, nil
	}
}

// terse is a connection on which so many bytes may still come. It is read by one at a time.
type terse struct {
	net.Conn
	left int
}

// Read implements net.Conn.
func (t *terse) Read(p []byte) (int, error) {
	if t.left == 0 {
		return 0, errTalks
	}
	n, err := t.Conn.Read(p[:min(len(p), t.left)])
	t.left -= n
	return n, err
}

// logins are the ways to log in that we use, the best first. Each connection with credentials
// is TLS.
var logins = []mail.SMTPAuthType{
	mail.SMTPAuthSCRAMSHA256PLUS, mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1PLUS, mail.SMTPAuthSCRAMSHA1,
	mail.SMTPAuthCramMD5, mail.SMTPAuthPlain, mail.SMTPAuthLogin,
}

// untilDone is dial for connections that are closed when ctx ends, whatever is under way on
// them: go-mail looks at ctx only while it dials, lets its own deadline begin anew with each
// mail, and leaves a connection open on which the server's greeting went wrong.
func untilDone(ctx context.Context, dial mail.DialContextFunc) mail.DialContextFunc {
	return func(dialling context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(dialling, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		return conn, nil
	}
}

func (m *mailer) send(ctx context.Context, client *mail.Client, n Notification, to ...string) error {
	msg, err := m.message(n, to)
	if err != nil {
		return err
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	err = client.SendWithSMTPClient(conn, msg)
	// Whether the server is polite at the end says nothing about the mail it has taken.
	_ = client.CloseWithSMTPClient(conn)
	return err
}

func (m *mailer) message(n Notification, to []string) (*mail.Msg, error) {
	msg := mail.NewMsg()
	if err := msg.From(m.conf.From); err != nil {
		return nil, fmt.Errorf("writing mail: %w", err)
	}
	if err := msg.To(to...); err != nil {
		return nil, fmt.Errorf("writing mail: %w", err)
	}
	msg.SetMessageIDWithValue(n.ID + "@" + n.From)
	msg.SetDateWithValue(n.At)
	msg.Subject("[certlink] " + summary(n))
	// No answering machine is to answer (RFC 3834).
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("Certlink-Event", string(n.Event))
	msg.SetGenHeader("Certlink-Hotline", n.Hotline)
	if urgent(n) {
		msg.SetImportance(mail.ImportanceHigh)
	}
	msg.SetBodyString(mail.TypeTextPlain, body(n))
	return msg, nil
}
