// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Command nats is the other side of bench-hotline: two NATS JetStream servers that do
// with a message what two relays do, as well as a bridge of a few lines can. It takes
// commands on standard input, one a line, and answers each with a line of JSON, so that
// the benchmark can alternate it with the relays:
//
//	run MESSAGES SENDERS BYTES
//
// A message is stored at A (sync always) and confirmed to its sender; the bridge takes it
// from A, publishes it to B over TLS on loopback, where it is stored (sync always) under
// its id, so that a repetition is not stored twice; after B's confirmation the bridge
// acknowledges it at A. There it is done. Nothing is signed, and nothing is ordered
// but the stream.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

func main() {
	dir := flag.String("dir", "", "where both servers store")
	flag.Parse()
	if err := run(context.Background(), *dir); err != nil {
		fmt.Fprintln(os.Stderr, "nats:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string) (err error) {
	if dir == "" {
		return errors.New("-dir is missing")
	}
	w, err := found(ctx, dir)
	if err != nil {
		return err
	}
	defer w.close()
	lines, answers := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var messages, senders, bytes int
		if _, err := fmt.Sscanf(lines.Text(), "run %d %d %d", &messages, &senders, &bytes); err != nil {
			return fmt.Errorf("reading a command: %w", err)
		}
		answer, err := w.send(ctx, messages, senders, bytes)
		if err != nil {
			return err
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

// Answer to a command: seconds until all messages were done, and of one sender the
// milliseconds of each until it was stored at A and until it was done.
type Answer struct {
	Seconds float64   `json:"seconds"`
	Here    []float64 `json:"here,omitempty"`
	Done    []float64 `json:"done,omitempty"`
}

// send sends messages from several senders at once, each the next one when the last is
// stored at A; a single sender waits until it is done.
func (w *world) send(ctx context.Context, messages, senders, bytes int) (Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("the messages did not end"))
	defer cancel()
	var answer Answer
	before := w.done.Load()
	body := make([]byte, bytes)
	work := make(chan int, messages)
	for i := range messages {
		work <- i
	}
	close(work)
	begun := time.Now()
	var hands sync.WaitGroup
	errs := make(chan error, senders)
	for s := range senders {
		hands.Go(func() {
			for i := range work {
				at := time.Now()
				if err := w.publish(ctx, s, strconv.FormatInt(before, 36)+"-"+strconv.Itoa(i), body); err != nil {
					errs <- err
					return
				}
				if senders > 1 {
					continue
				}
				answer.Here = append(answer.Here, time.Since(at).Seconds()*1000)
				if err := w.await(ctx, before+int64(i)+1); err != nil {
					errs <- err
					return
				}
				answer.Done = append(answer.Done, time.Since(at).Seconds()*1000)
			}
		})
	}
	hands.Wait()
	close(errs)
	if err := <-errs; err != nil {
		return Answer{}, err
	}
	if err := w.await(ctx, before+int64(messages)); err != nil {
		return Answer{}, err
	}
	answer.Seconds = time.Since(begun).Seconds()
	return answer, nil
}
