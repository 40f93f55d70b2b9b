// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/report"
)

// turn is a path that changed its state, as a relay logged it.
type turn struct {
	Time    time.Time    `json:"time"`
	Message string       `json:"msg"`
	Peer    string       `json:"peer"`
	Address string       `json:"address"`
	From    report.State `json:"from"`
	To      report.State `json:"to"`
	Why     string       `json:"why"`
}

// journal follows the log of a relay.
type journal struct {
	file string

	mu    sync.Mutex // guards what follows
	read  int64
	turns []turn
}

// follow reads what is new, and returns all turns so far.
func (j *journal) follow() ([]turn, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	file, err := os.Open(j.file)
	if err != nil {
		return nil, fmt.Errorf("reading a log: %w", err)
	}
	defer file.Close()
	if _, err := file.Seek(j.read, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading a log: %w", err)
	}
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return j.turns, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading a log: %w", err)
		}
		j.read += int64(len(line))
		var t turn
		if bytes.Contains(line, []byte(`"msg":"path"`)) && json.Unmarshal(line, &t) == nil && t.To != "" {
			j.turns = append(j.turns, t)
		}
	}
}

// last is the last turn of a path.
func (j *journal) last(peer, address string) (turn, error) {
	turns, err := j.follow()
	for _, t := range slices.Backward(turns) {
		if t.Peer == peer && t.Address == address {
			return t, nil
		}
	}
	return turn{}, err
}
