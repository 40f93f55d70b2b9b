// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"context"
	"crypto/md5" //nolint:gosec // the format wants it; it protects nothing
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/store"
)

func md5Of(text string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// Path is the pattern of the files of a directory on the local port.
const Path = "/misp/{import}/{delivery}/{file}"

// maxRenders is how many files are written at once, and renderTimeout how long one may take.
const (
	maxRenders    = 4
	renderTimeout = 30 * time.Minute
)

// rendering changes with what is written of the same objects, so that no reader keeps files of an
// older release.
const rendering = "3"

// ServerConfig of a Server. Store and Collection are required.
type ServerConfig struct {
	Store store.Objects
	// Collection is the name in the store of an import's objects.
	Collection func(importName string) string
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Log gets errors that the reader is not told. Nil means none.
	Log *slog.Logger
	// Registry takes the metrics. Nil means none.
	Registry prometheus.Registerer
}

// Server serves imports as MISP feeds: for each delivery with MISP a directory with
// manifest.json, UUID.json and hashes.csv. Who may read is for the port to say.
type Server struct {
	cfg     ServerConfig
	slots   chan struct{}
	skipped *prometheus.CounterVec

	mu          sync.Mutex // guards what follows
	directories map[string]*directory
}

// directory is one feed.
type directory struct {
	imported  string
	conf      config.Delivery
	creator   Creator
	catalogue *Catalogue

	mu   sync.Mutex // guards what follows
	sums map[string]summed
}

// summed is the SHA-256 of an event's file, and the tag that the file had.
type summed struct{ tag, sum string }

// NewServer checks the configuration. It serves nothing before Apply.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Store == nil || cfg.Collection == nil {
		return nil, errors.New("building MISP feeds: store and collection are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, slots: make(chan struct{}, maxRenders), directories: map[string]*directory{}}
	s.skipped = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "certlink_relay_misp_skipped_objects_total", Help: "Objects without a counterpart in MISP, each time an event was written.",
	}, []string{"import", "delivery"})
	if cfg.Registry != nil {
		if err := cfg.Registry.Register(s.skipped); err != nil {
			return nil, fmt.Errorf("building MISP feeds: %w", err)
		}
	}
	return s, nil
}

// Apply takes a new live configuration.
func (s *Server) Apply(c *config.Config) {
	peers := map[string]string{}
	for _, p := range c.Peers {
		peers[p.Name] = p.DisplayName
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.directories
	s.directories = map[string]*directory{}
	for _, m := range c.Imports {
		for _, d := range m.Deliveries {
			if d.MISP == nil {
				continue
			}
			name := d.MISP.Organisation
			if name == "" {
				name = peers[m.Peer]
			}
			if name == "" {
				name = m.Peer
			}
			key := m.Name + "/" + d.Name
			if old := before[key]; old != nil && reflect.DeepEqual(old.conf, d) && old.creator.Name == name {
				s.directories[key] = old
				continue
			}
			s.directories[key] = &directory{
				imported: m.Name, conf: d, creator: NewCreator(name), sums: map[string]summed{},
				catalogue: NewCatalogue(s.cfg.Store, s.cfg.Collection(m.Name), m.Name, s.cfg.Now),
			}
		}
	}
}

// ServeHTTP serves a file of a directory; see Path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	d := s.directories[r.PathValue("import")+"/"+r.PathValue("delivery")]
	s.mu.Unlock()
	if d == nil {
		problem.Write(w, http.StatusNotFound, "no import has a MISP delivery of this name")
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "5")
		problem.Write(w, http.StatusServiceUnavailable, "too many files are being read at once: come again")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), renderTimeout)
	defer cancel()
	// A long event takes longer than the port gives other answers. A port that cannot be
	// told so has no such bound.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(renderTimeout))
	now, err := d.catalogue.look(ctx)
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "a MISP feed cannot be read", "import", d.imported, "delivery", d.conf.Name, "error", err)
		problem.Write(w, http.StatusInternalServerError, "the objects cannot be read: see the relay's log")
		return
	}
	s.file(ctx, w, r, d, now)
}

func (s *Server) file(ctx context.Context, w http.ResponseWriter, r *http.Request, d *directory, now state) {
	switch file := r.PathValue("file"); file {
	case "manifest.json":
		d.manifest(w, r, now)
	case "hashes.csv":
		if !fresh(w, r, d.tag("hashes", now.position, now.deletions, now.readOf), newest(now), "text/csv; charset=utf-8") {
			s.finish(ctx, d, d.catalogue.writeHashes(ctx, w, now))
		}
	default:
		id, isEvent := strings.CutSuffix(file, ".json")
		if at, ok := now.at[id]; isEvent && ok {
			s.event(ctx, w, r, d, now, now.events[at])
			return
		}
		problem.Write(w, http.StatusNotFound, "the feed has no such file: manifest.json lists its events")
	}
}

// fresh sets the headers of a file. It answers the request when the reader has the file
// already, or wants no more than the headers.
func fresh(w http.ResponseWriter, r *http.Request, tag string, changed time.Time, contentType string) (answered bool) {
	h := w.Header()
	h.Set("ETag", `"`+tag+`"`)
	h.Set("Cache-Control", "no-cache")
	h.Set("Last-Modified", changed.UTC().Format(http.TimeFormat))
	if has(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	h.Set("Content-Type", contentType)
	return r.Method == http.MethodHead
}

// has tells whether a reader has the file with a tag (RFC 9110 section 13.1.2).
func has(known []string, tag string) bool {
	for _, list := range known {
		for one := range strings.SplitSeq(list, ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == `"`+tag+`"` {
				return true
			}
		}
	}
	return false
}

// tag is the same for the same bytes only: it changes with all that goes into a file, and with what
// this release makes of it.
func (d *directory) tag(parts ...any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %q %q %q", rendering, d.creator, d.imported, parts))
	return hex.EncodeToString(sum[:16])
}

func (d *directory) eventTag(now state, e listed) string {
	return d.tag("event", e.uuid, int64(e.timestamp), int64(len(now.statements)), now.deletions, now.readOf)
}

func newest(s state) time.Time {
	if len(s.events) == 0 {
		return time.Unix(0, 0)
	}
	return time.Unix(int64(s.events[len(s.events)-1].timestamp), 0)
}

// event writes an event, and remembers its checksum if nothing came in between.
func (s *Server) event(ctx context.Context, w http.ResponseWriter, r *http.Request, d *directory, now state, e listed) {
	if fresh(w, r, d.eventTag(now, e), time.Unix(int64(e.timestamp), 0), "application/json") {
		return
	}
	sum := sha256.New()
	skipped, err := d.catalogue.writeEvent(ctx, io.MultiWriter(w, sum), now, e, d.creator)
	s.skipped.WithLabelValues(d.imported, d.conf.Name).Add(float64(skipped))
	if err == nil {
		d.remember(ctx, now, e, sum)
	}
	s.finish(ctx, d, err)
}

// remember keeps a checksum for the manifest, if it is that of the state.
func (d *directory) remember(ctx context.Context, now state, e listed, sum hash.Hash) {
	page, err := d.catalogue.store.ListObjects(ctx, d.catalogue.collection, store.Query{After: now.position, Limit: 1, NoContent: true})
	if err != nil || len(page.Records) > 0 {
		return
	}
	deletions, err := d.catalogue.store.Deletions(ctx, d.catalogue.collection)
	if err != nil || deletions != now.deletions {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sums[e.uuid] = summed{d.eventTag(now, e), hex.EncodeToString(sum.Sum(nil))}
}

// finish ends an answer that may have begun: a reader must not take a part for the whole.
func (s *Server) finish(ctx context.Context, d *directory, err error) {
	if err == nil {
		return
	}
	if ctx.Err() == nil {
		s.cfg.Log.WarnContext(ctx, "a file of a MISP feed was not written to its end", "import", d.imported, "delivery", d.conf.Name, "error", err)
	}
	panic(http.ErrAbortHandler)
}

// sum is the checksum of an event's file, "" while it is not known. The lock is held.
func (d *directory) sum(now state, e listed) string {
	known, ok := d.sums[e.uuid]
	if !ok || known.tag != d.eventTag(now, e) {
		delete(d.sums, e.uuid)
		return ""
	}
	return known.sum
}

// entryOf is an event in the manifest.
type entryOf struct {
	Info      string     `json:"info"`
	Orgc      Creator    `json:"Orgc"`
	Analysis  string     `json:"analysis"`
	Date      string     `json:"date"`
	Timestamp string     `json:"timestamp"`
	Threat    string     `json:"threat_level_id"`
	Tags      []NamedTag `json:"Tag"`
	Sum       string     `json:"integrity:sha256,omitempty"`
}

func (d *directory) manifest(w http.ResponseWriter, r *http.Request, now state) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := sha256.New()
	for _, e := range now.events {
		// Marking definitions and withdrawals change the list, too, when their time comes.
		fmt.Fprintf(known, "%s %d %q %s\n", e.uuid, e.timestamp, e.tags, d.sum(now, e))
	}
	if fresh(w, r, d.tag("manifest", now.position, now.deletions, known.Sum(nil)), newest(now), "application/json") {
		return
	}
	all := map[string]entryOf{}
	for _, e := range now.events {
		h := headOf(e, d.creator)
		entry := entryOf{Info: h.Info, Orgc: h.Orgc, Analysis: h.Analysis, Date: h.Date, Timestamp: h.Timestamp, Threat: h.Threat, Tags: append([]NamedTag{}, h.Tags...)}
		entry.Sum = d.sum(now, e)
		all[e.uuid] = entry
	}
	// An error means that the reader has gone.
	_ = json.NewEncoder(w).Encode(all)
}
