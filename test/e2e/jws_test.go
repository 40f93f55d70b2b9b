// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// typeOf reads the typ of a compact JWS.
func typeOf(jws string) (string, error) {
	protected, _, found := strings.Cut(jws, ".")
	if !found {
		return "", fmt.Errorf("%.40q is no JWS", jws)
	}
	content, err := base64.RawURLEncoding.DecodeString(protected)
	if err != nil {
		return "", fmt.Errorf("decoding the header of a JWS: %w", err)
	}
	var header struct {
		Typ string `json:"typ"`
	}
	if err := json.Unmarshal(content, &header); err != nil {
		return "", fmt.Errorf("reading the header of a JWS: %w", err)
	}
	return header.Typ, nil
}
