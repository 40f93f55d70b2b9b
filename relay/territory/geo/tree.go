// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"encoding/binary"
	"fmt"

	"github.com/oschwald/maxminddb-golang/v2"
)

// maxDepth is the depth of a search tree: a bit of an address for each step.
const maxDepth = 128

// tree is the search tree at the beginning of a file (MaxMind DB format
// specification 2.0, "Binary Search Tree Section"): for each bit of an address a
// node with two records, each the number of a node or something beyond all nodes.
type tree struct {
	file  []byte
	nodes uint
	bits  uint // of a record
	// paths are the ways through each node to something beyond; zero while unknown,
	// and one more while it is being counted.
	paths []uint32
}

const counting = 1<<32 - 1

// checkTree counts the ways through the tree without walking each of them: a tree of
// a few nodes, each of which leads to the next twice, has 2^128.
func checkTree(file []byte, m maxminddb.Metadata) error {
	t := tree{file: file, nodes: m.NodeCount, bits: m.RecordSize}
	if t.bits != 24 && t.bits != 28 && t.bits != 32 || t.nodes == 0 || t.nodes > uint(len(file))/(t.bits/4) {
		return fmt.Errorf("%w: its search tree does not fit into it", ErrFormat)
	}
	t.paths = make([]uint32, t.nodes)
	_, err := t.count(0, 0)
	return err
}

// count returns the ways through a node. It calls itself maxDepth deep at most.
func (t *tree) count(node uint, depth int) (uint32, error) {
	if node >= t.nodes {
		return 1, nil
	}
	switch {
	case t.paths[node] == counting || depth == maxDepth:
		return 0, fmt.Errorf("%w: its search tree is deeper than an address is long", ErrFormat)
	case t.paths[node] != 0:
		return t.paths[node], nil
	}
	t.paths[node] = counting
	left, right := t.records(node)
	a, err := t.count(left, depth+1)
	if err != nil {
		return 0, err
	}
	b, err := t.count(right, depth+1)
	if err != nil {
		return 0, err
	}
	if a+b > maxNetworks {
		return 0, fmt.Errorf("%w: its search tree leads to more than %d networks", ErrTooLarge, maxNetworks)
	}
	t.paths[node] = a + b
	return a + b, nil
}

func (t *tree) records(node uint) (left, right uint) {
	switch at := t.file[node*t.bits/4:]; t.bits {
	case 24:
		return uint(at[0])<<16 | uint(at[1])<<8 | uint(at[2]), uint(at[3])<<16 | uint(at[4])<<8 | uint(at[5])
	case 28:
		left = uint(at[3]>>4)<<24 | uint(at[0])<<16 | uint(at[1])<<8 | uint(at[2])
		return left, uint(at[3]&15)<<24 | uint(at[4])<<16 | uint(at[5])<<8 | uint(at[6])
	default:
		return uint(binary.BigEndian.Uint32(at)), uint(binary.BigEndian.Uint32(at[4:]))
	}
}
