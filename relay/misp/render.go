// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// Creator is the organisation that events of ours name.
type Creator struct {
	Name string `json:"name"`
	UUID string `json:"uuid"`
}

// NewCreator makes the organisation of a name.
func NewCreator(name string) Creator { return Creator{Name: name, UUID: derive("organisation", name)} }

// head are the members of an event before its attributes.
type head struct {
	UUID      string `json:"uuid"`
	Info      string `json:"info"`
	Date      string `json:"date"`
	Timestamp string `json:"timestamp"`
	Published bool   `json:"published"`
	At        string `json:"publish_timestamp"`
	Analysis  string `json:"analysis"`
	Threat    string `json:"threat_level_id"`
	// Distribution is empty for the event of a day, which says nothing of what is in it.
	Distribution string     `json:"distribution,omitempty"`
	Orgc         Creator    `json:"Orgc"`
	Tags         []NamedTag `json:"Tag,omitempty"`
}

func headOf(e listed, by Creator) head {
	at := strconv.FormatUint(uint64(e.timestamp), 10)
	h := head{
		UUID: e.uuid, Info: e.info, Date: e.date.Format(time.DateOnly), Timestamp: at, Published: true, At: at,
		Analysis: "2", Threat: "4", Orgc: by, Tags: e.tags,
	}
	if e.report != "" {
		h.Distribution = eventDistribution(e.tags)
	}
	return h
}

// writeEvent writes an event, with a few hundred objects in memory, and returns how many
// objects have no counterpart in MISP.
func (c *Catalogue) writeEvent(ctx context.Context, w io.Writer, s state, e listed, by Creator) (skipped int, err error) {
	out := bufio.NewWriterSize(w, 64<<10)
	text, err := json.Marshal(headOf(e, by))
	if err != nil {
		return 0, fmt.Errorf("writing event: %w", err)
	}
	fmt.Fprintf(out, `{"Event":%s,"Attribute":[`, strings.TrimSuffix(string(text), "}"))
	n := 0
	skipped, err = c.attributes(ctx, s, e, func(a Attribute) error {
		text, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if n++; n > 1 {
			_ = out.WriteByte(',') // an error stays until Flush
		}
		_, err = out.Write(text)
		return err
	})
	if err != nil {
		return skipped, fmt.Errorf("writing event: %w", err)
	}
	_, _ = out.WriteString("]}}")
	return skipped, out.Flush()
}

// writeHashes writes hashes.csv: the MD5 of each value, and the uuid of its event.
func (c *Catalogue) writeHashes(ctx context.Context, w io.Writer, s state) error {
	out := bufio.NewWriterSize(w, 64<<10)
	for _, e := range s.events {
		_, err := c.attributes(ctx, s, e, func(a Attribute) error {
			for part := range strings.SplitSeq(a.Value, "|") {
				fmt.Fprintf(out, "%s,%s\n", md5Of(part), e.uuid)
				if !strings.Contains(a.Type, "|") {
					break
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("writing hashes: %w", err)
		}
	}
	return out.Flush()
}

// attributes gives the attributes of an event, in the order in which their objects came.
func (c *Catalogue) attributes(ctx context.Context, s state, e listed, give func(Attribute) error) (skipped int, err error) {
	batch := func(ids []string) error {
		n, err := c.convert(ctx, s, e, ids, give)
		skipped += n
		return err
	}
	if e.report != "" {
		return skipped, c.reported(ctx, e, batch)
	}
	return skipped, c.loose(ctx, s, e, batch)
}

// reported gives the ids of what a report refers to, in batches.
func (c *Catalogue) reported(ctx context.Context, e listed, batch func([]string) error) error {
	page, err := c.store.ListObjects(ctx, c.collection, store.Query{IDs: []string{e.report}, Limit: 1, Versions: store.Versions{Last: true}})
	if err != nil || len(page.Records) == 0 {
		return err
	}
	var m members
	if err := unmarshal(page.Records[0].Raw, &m); err != nil {
		return err
	}
	seen := map[string]bool{}
	var ids []string
	for _, id := range m.ObjectRefs {
		if seen[id] {
			continue
		}
		seen[id] = true
		if ids = append(ids, id); len(ids) == store.MaxSelectors {
			if err := batch(ids); err != nil {
				return err
			}
			ids = nil
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return batch(ids)
}

// loose gives the ids of what came on a day and is in no report, in batches.
func (c *Catalogue) loose(ctx context.Context, s state, e listed, batch func([]string) error) error {
	q := store.Query{
		AddedAfter: e.date.Add(-time.Microsecond), Limit: scanObjects, NoContent: true, Versions: store.Versions{First: true},
	}
	end := e.date.Add(daySeconds * time.Second)
	var ids []string
	for {
		page, err := c.store.ListObjects(ctx, c.collection, q)
		if err != nil {
			return err
		}
		over := page.Next == 0
		for _, r := range page.Records {
			if !r.DateAdded.Before(end) || r.DateAdded.UnixMicro() > s.position {
				over = true
				break
			}
			if r.Type == "report" || r.Type == "grouping" || !s.loose(r.ID) {
				continue
			}
			if ids = append(ids, r.ID); len(ids) == store.MaxSelectors {
				if err := batch(ids); err != nil {
					return err
				}
				ids = nil
			}
		}
		if over {
			break
		}
		q.After = page.Next
	}
	if len(ids) == 0 {
		return nil
	}
	return batch(ids)
}

// convert gives the attributes of objects, at most store.MaxSelectors, by their newest version.
func (c *Catalogue) convert(ctx context.Context, s state, e listed, ids []string, give func(Attribute) error) (skipped int, err error) {
	q := store.Query{IDs: ids, Limit: store.MaxRecords, Versions: store.Versions{Last: true}}
	for {
		page, err := c.store.ListObjects(ctx, c.collection, q)
		if err != nil {
			return skipped, err
		}
		again, err := c.cameAgain(ctx, s, page.Records)
		if err != nil {
			return skipped, err
		}
		for _, r := range page.Records {
			o, err := stix.Parse(r.Raw)
			if err != nil {
				skipped++
				continue
			}
			list := attributesOf(e.uuid, o, arrival{r.DateAdded, again[r.ID]}, s.statements)
			if len(list) == 0 {
				skipped++
			}
			for _, a := range list {
				if err := give(a); err != nil {
					return skipped, err
				}
			}
		}
		if page.Next == 0 {
			return skipped, nil
		}
		q.After = page.Next
	}
}

// cameAgain tells of which records another version came before, see arrival.
func (c *Catalogue) cameAgain(ctx context.Context, s state, records []store.Record) (map[string]bool, error) {
	if s.defined == 0 {
		return nil, nil
	}
	first, again := map[string]time.Time{}, map[string]bool{}
	if err := c.addFirsts(ctx, first, records); err != nil {
		return nil, err
	}
	for _, r := range records {
		again[r.ID] = first[r.ID].Before(r.DateAdded) && first[r.ID].Unix() < s.defined
	}
	return again, nil
}
