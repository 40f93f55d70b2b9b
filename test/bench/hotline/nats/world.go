// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	stream  = "HOTLINE"
	subject = "hotline.messages"
	// connections of the senders: more than one, so that they do not share a buffer.
	connections = 8
	// pending is what the bridge may have under way.
	pending = 4096
)

// world is two servers and the bridge between them.
type world struct {
	servers []*server.Server
	conns   []*nats.Conn
	senders []jetstream.JetStream
	bridge  jetstream.ConsumeContext
	// done counts messages acknowledged at A; news gets a word when it grew.
	done atomic.Int64
	news chan struct{}
}

func found(ctx context.Context, dir string) (w *world, err error) {
	w = &world{news: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	sides, roots, err := credentials()
	if err != nil {
		return nil, err
	}
	a, err := w.serve(filepath.Join(dir, "a"), nil)
	if err != nil {
		return nil, err
	}
	b, err := w.serve(filepath.Join(dir, "b"), sides)
	if err != nil {
		return nil, err
	}
	for range connections {
		js, err := w.connect(ctx, "", nats.InProcessServer(a))
		if err != nil {
			return nil, err
		}
		w.senders = append(w.senders, js)
	}
	from, err := w.connect(ctx, "", nats.InProcessServer(a))
	if err != nil {
		return nil, err
	}
	to, err := w.connect(ctx, b.ClientURL(), nats.Secure(&tls.Config{
		RootCAs: roots, Certificates: sides.Certificates, MinVersion: tls.VersionTLS13, ServerName: "localhost",
	}))
	if err != nil {
		return nil, err
	}
	return w, w.join(ctx, from, to)
}

// serve starts a server that syncs each write before it confirms it.
func (w *world) serve(dir string, link *tls.Config) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: filepath.Base(dir), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: dir, SyncAlways: true, TLSConfig: link, TLS: link != nil, TLSVerify: link != nil, TLSTimeout: 5,
	})
	if err != nil {
		return nil, fmt.Errorf("making server %s: %w", dir, err)
	}
	go s.Start()
	w.servers = append(w.servers, s)
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, fmt.Errorf("starting server %s: it is not ready", dir)
	}
	return s, nil
}

// connect makes a connection, and the stream if it is not there.
func (w *world) connect(ctx context.Context, url string, options ...nats.Option) (jetstream.JetStream, error) {
	conn, err := nats.Connect(url, options...)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	w.conns = append(w.conns, conn)
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(pending))
	if err != nil {
		return nil, err
	}
	_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: stream, Subjects: []string{subject}, Storage: jetstream.FileStorage})
	return js, err
}

// join starts the bridge: what A has goes to B, and is acknowledged at A when B has it.
func (w *world) join(ctx context.Context, from, to jetstream.JetStream) error {
	consumer, err := from.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: "bridge", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: pending,
	})
	if err != nil {
		return fmt.Errorf("making the bridge: %w", err)
	}
	type underWay struct {
		message jetstream.Msg
		stored  jetstream.PubAckFuture
	}
	// Confirmations of B come in the order of the messages.
	sent := make(chan underWay, pending)
	go func() {
		for u := range sent {
			select {
			case <-u.stored.Ok():
				if u.message.Ack() != nil {
					continue
				}
				w.done.Add(1)
				select {
				case w.news <- struct{}{}:
				default:
				}
			case <-u.stored.Err():
				_ = u.message.Nak()
			}
		}
	}()
	w.bridge, err = consumer.Consume(func(m jetstream.Msg) {
		stored, err := to.PublishMsgAsync(&nats.Msg{Subject: subject, Header: m.Headers(), Data: m.Data()})
		if err != nil {
			_ = m.Nak()
			return
		}
		sent <- underWay{m, stored}
	}, jetstream.PullMaxMessages(pending))
	return err
}

func (w *world) publish(ctx context.Context, sender int, id string, body []byte) error {
	_, err := w.senders[sender%connections].PublishMsg(ctx, &nats.Msg{
		Subject: subject, Header: nats.Header{jetstream.MsgIDHeader: []string{id}}, Data: body,
	})
	return err
}

// await waits until so many messages are done.
func (w *world) await(ctx context.Context, done int64) error {
	for w.done.Load() < done {
		select {
		case <-w.news:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d messages, %d are done: %w", done, w.done.Load(), context.Cause(ctx))
		}
	}
	return nil
}

func (w *world) close() {
	if w.bridge != nil {
		w.bridge.Stop()
	}
	for _, c := range w.conns {
		c.Close()
	}
	for _, s := range w.servers {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// credentials is one certificate that both ends of the bridge show and trust.
func credentials() (*tls.Config, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, ClientCAs: roots, RootCAs: roots,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	}, roots, nil
}
