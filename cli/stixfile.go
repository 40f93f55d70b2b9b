// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// sniffed is how much of a file is looked at to tell a container from an object.
const sniffed = 64 << 10

// eachObject calls yield with every STIX object of a file, byte for byte and one
// at a time. The file is a bundle, a TAXII envelope, an array of objects, or
// objects one after the other.
func eachObject(in io.Reader, yield func(json.RawMessage) error) error {
	buffered := bufio.NewReaderSize(in, sniffed)
	head, err := buffered.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return err
	}
	head = bytes.TrimLeft(head, " \t\r\n")
	if len(head) == 0 {
		return errors.New("it is empty")
	}
	decoder := json.NewDecoder(buffered)
	switch {
	case head[0] == '[':
		if _, err := decoder.Token(); err != nil {
			return err
		}
		return elements(decoder, yield)
	case head[0] != '{':
		return errors.New("it holds no JSON object")
	case isContainer(head):
		return members(decoder, yield)
	}
	for {
		var object json.RawMessage
		switch err := decoder.Decode(&object); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("at byte %d: %w", decoder.InputOffset(), err)
		}
		if err := yield(object); err != nil {
			return err
		}
	}
}

// isContainer tells whether a JSON object that begins with head is a bundle or
// an envelope: it has the member objects, or says that it is a bundle.
func isContainer(head []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(head))
	if _, err := decoder.Token(); err != nil {
		return false
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return false
		}
		if key == "objects" {
			return true
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return false
		}
		if key == "type" && string(value) == `"bundle"` {
			return true
		}
	}
	return false
}

// members reads a container up to and including its objects.
func members(decoder *json.Decoder, yield func(json.RawMessage) error) error {
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return err
		}
		if key != "objects" {
			var skipped json.RawMessage
			if err := decoder.Decode(&skipped); err != nil {
				return fmt.Errorf("at byte %d: %w", decoder.InputOffset(), err)
			}
			continue
		}
		if open, err := decoder.Token(); err != nil {
			return err
		} else if open != json.Delim('[') {
			return errors.New("its member objects is no array")
		}
		if err := elements(decoder, yield); err != nil {
			return err
		}
	}
	_, err := decoder.Token()
	return err
}

// elements reads an array whose bracket was read, with its closing one.
func elements(decoder *json.Decoder, yield func(json.RawMessage) error) error {
	for decoder.More() {
		var object json.RawMessage
		if err := decoder.Decode(&object); err != nil {
			return fmt.Errorf("at byte %d: %w", decoder.InputOffset(), err)
		}
		if err := yield(object); err != nil {
			return err
		}
	}
	_, err := decoder.Token()
	return err
}
