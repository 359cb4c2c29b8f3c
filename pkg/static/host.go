package static

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
)

// Host serves releases of sites. To whoever starts, lists and removes, a site that is served is a container; what is
// started is on the disk, so that after a restart it is there at once. Its methods may be called from any goroutine.
type Host struct {
	store *Store
	dir   string // a file for each started site, called like its replica
	log   zerolog.Logger

	mu      sync.Mutex // held while the table changes
	table   atomic.Pointer[map[string]*started]
	changes signals
}

// kept is what is on the disk of a site that was started.
type kept struct {
	Replica model.Replica
	Static  model.Static
	Started time.Time
}

// started is a site that is served. Its list of files is read when it is first asked for.
type started struct {
	kept
	gone    chan struct{}
	loading sync.Mutex
	handler atomic.Pointer[Handler]
}

// nameForm is what a replica's name looks like; it is also the name of a file.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$`)

// NewHost returns a host of the store's sites, with those it served before.
func NewHost(s *Store, log zerolog.Logger) (*Host, error) {
	h := &Host{store: s, dir: filepath.Join(s.dir, "started"), log: log}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the host of sites: %w", err)
	}
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return nil, fmt.Errorf("reading the sites that are served: %w", err)
	}
	table := map[string]*started{}
	for _, e := range entries {
		file := filepath.Join(h.dir, e.Name())
		k, err := readKept(file)
		if err == nil && k.Replica.Name() == e.Name() {
			table[e.Name()] = newStarted(k)
			continue
		}
		if !strings.HasPrefix(e.Name(), ".") {
			log.Warn().Err(err).Str("site", e.Name()).Msg("what was served cannot be read and is removed: it is started again")
		}
		if err := os.Remove(file); err != nil {
			return nil, fmt.Errorf("removing what a crash left: %w", err)
		}
	}
	h.table.Store(&table)
	return h, nil
}

// Store returns where the host's sites are kept.
func (h *Host) Store() *Store { return h.store }

// List returns every site that is served, as containers, by name.
func (h *Host) List(context.Context) ([]model.Container, error) {
	all := *h.table.Load()
	out := make([]model.Container, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[name].container())
	}
	return out, nil
}

// Start serves a site under the name of a replica. One that is served is returned as it is; one that is not kept is a
// *model.Error of KindNotFound.
func (h *Host) Start(_ context.Context, spec model.ContainerSpec) (model.Container, error) {
	if spec.Static == nil || spec.Static.Digest == "" {
		return model.Container{}, fmt.Errorf("starting %s: it is no site", spec.Name)
	}
	if !nameForm.MatchString(spec.Name) || spec.Replica.Name() != spec.Name {
		return model.Container{}, model.Invalid("%q is not a name of a site's replica", spec.Name)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.find(spec.Name); s != nil {
		return s.container(), nil
	}
	handler, err := h.store.Handler(*spec.Static)
	if err != nil {
		return model.Container{}, err
	}
	k := kept{Replica: spec.Replica, Static: *spec.Static, Started: time.Now().UTC()}
	k.Static.Files, k.Static.Bytes = len(handler.names), handler.site.Bytes
	if err := h.write(spec.Name, k); err != nil {
		return model.Container{}, err
	}
	s := newStarted(k)
	s.handler.Store(handler)
	h.put(spec.Name, s)
	return s.container(), nil
}

// Remove takes a site out of service; answers under way go on. What is not there is removed already.
func (h *Host) Remove(_ context.Context, name string, _ time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.find(name)
	if s == nil {
		return nil
	}
	if err := os.Remove(filepath.Join(h.dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing a site: %w", err)
	}
	if err := syncDir(h.dir); err != nil {
		return fmt.Errorf("removing a site: %w", err)
	}
	h.put(name, nil)
	close(s.gone)
	return nil
}

// Wait returns once the site is removed: sites do not end by themselves.
func (h *Host) Wait(ctx context.Context, name string) (model.Exit, error) {
	s := h.find(name)
	if s == nil {
		return model.Exit{}, model.NotFound("there is no site %s", name)
	}
	select {
	case <-s.gone:
		return model.Exit{Known: true, At: time.Now().UTC()}, nil
	case <-ctx.Done():
		return model.Exit{}, ctx.Err()
	}
}

// Has tells whether a site is served under this name.
func (h *Host) Has(name string) bool { return h.find(name) != nil }

// Usage tells what a site uses, which is next to nothing; false where there is none of that name.
func (h *Host) Usage(name string) (model.Usage, bool) {
	if h.find(name) == nil {
		return model.Usage{}, false
	}
	return model.Usage{At: time.Now().UTC()}, true
}

// Events fires when a site came or went, and is closed with ctx.
func (h *Host) Events(ctx context.Context) <-chan struct{} { return h.changes.listen(ctx) }

// Serve answers a request from the site of this name.
func (h *Host) Serve(name string, w http.ResponseWriter, r *http.Request) {
	s := h.find(name)
	if s == nil {
		plain(w, http.StatusServiceUnavailable, "The site is not here.")
		return
	}
	handler := s.handler.Load()
	if handler == nil {
		var err error
		if handler, err = s.load(h.store); err != nil {
			h.log.Error().Err(err).Str("site", name).Msg("a site cannot be read")
			plain(w, http.StatusServiceUnavailable, "The site cannot be read.")
			return
		}
	}
	handler.ServeHTTP(w, r)
}

// Reclaim removes from the store what neither keep names nor is served; see Store.Reclaim.
func (h *Host) Reclaim(keep []string, now time.Time) error {
	keep = slices.Clone(keep)
	for _, s := range *h.table.Load() {
		keep = append(keep, s.Static.Digest)
	}
	return h.store.Reclaim(keep, now)
}

func (h *Host) find(name string) *started { return (*h.table.Load())[name] }

// put changes the table; nil removes. h.mu is held.
func (h *Host) put(name string, s *started) {
	next := maps.Clone(*h.table.Load())
	if s == nil {
		delete(next, name)
	} else {
		next[name] = s
	}
	h.table.Store(&next)
	h.changes.send()
}

// write puts a started site on the disk, whole or not at all.
func (h *Host) write(name string, k kept) error {
	text, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("starting a site: %w", err)
	}
	if err := writeWhole(h.dir, filepath.Join(h.dir, name), text); err != nil {
		return fmt.Errorf("starting a site: %w", err)
	}
	return nil
}

func readKept(file string) (kept, error) {
	var k kept
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	return k, err
}

func newStarted(k kept) *started { return &started{kept: k, gone: make(chan struct{})} }

// load reads the list of files, once.
func (s *started) load(store *Store) (*Handler, error) {
	s.loading.Lock()
	defer s.loading.Unlock()
	if h := s.handler.Load(); h != nil {
		return h, nil
	}
	h, err := store.Handler(s.Static)
	if err == nil {
		s.handler.Store(h)
	}
	return h, err
}

func (s *started) container() model.Container {
	return model.Container{
		Name: s.Replica.Name(), Replica: s.Replica, State: model.ContainerRunning, Detail: s.Static.String(), CreatedAt: s.Started, StartedAt: s.Started,
	}
}
