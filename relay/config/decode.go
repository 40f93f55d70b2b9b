// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"

	"sigs.k8s.io/yaml"
)

// Decode reads a configuration file: YAML, or JSON, which is YAML too. It fills
// the defaults and validates. Where the file can be read at all, the error is a
// FaultsError with every fault.
func Decode(data []byte) (*Config, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("configuration has %d bytes, more than the %d that are read", len(data), MaxBytes)
	}
	asJSON, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, fmt.Errorf("parsing configuration: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("parsing configuration: %w", err)
	}
	found := newFaults()
	checkShape(found, reflect.TypeFor[Config](), tree)
	if err := found.err(); err != nil {
		return nil, err // values of a wrong type make every further fault a guess
	}
	c := &Config{}
	if err := json.Unmarshal(asJSON, c); err != nil {
		return nil, fmt.Errorf("parsing configuration: %w", err)
	}
	c.SetDefaults()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// Encode writes a configuration as YAML that Decode accepts, or says why Decode
// would not. Equal configurations give equal bytes.
func Encode(c *Config) ([]byte, error) {
	headed := *c
	headed.APIVersion, headed.Kind = APIVersion, Kind
	data, err := yaml.Marshal(&headed)
	if err != nil {
		return nil, fmt.Errorf("encoding configuration: %w", err)
	}
	if _, err := Decode(data); err != nil {
		return nil, fmt.Errorf("checking the encoded configuration: %w", err)
	}
	return data, nil
}

// Checksum is the hexadecimal SHA-256 of a configuration file.
func Checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
