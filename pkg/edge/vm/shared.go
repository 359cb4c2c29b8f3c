//go:build linux

package vm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/tetratelabs/wazero"

	"github.com/pandabox/pandabox/pkg/edge/fuel"
	"github.com/pandabox/pandabox/pkg/model"
)

// shared is what modules of equal bytes have in common. On disk it is three files: the rewritten module, the memory that
// instances begin with as a snapshot, and meta, which is written last.
type shared struct {
	machine *Machine
	digest  string // of the module as it was given
	refs    int    // Modules, guarded by Machine.mu

	mu    sync.Mutex // held while it is prepared or loaded
	meta  *meta      // nil: it is not prepared
	image *Snapshot  // nil: it has no memory

	// Guarded by Machine.mu.
	compiled wazero.CompiledModule // nil: its native code is not in memory
	users    int                   // instances
}

// meta is what fuel.Result says, without the bytes.
type meta struct {
	Imports    []fuel.Import
	Exports    map[string]fuel.Signature
	Memory     *fuel.Memory
	Start      bool
	Globals    []string
	Restorable bool
	Lifted     bool
}

func digestOf(wasm []byte) string {
	sum := sha256.Sum256(wasm)
	return hex.EncodeToString(sum[:])
}

// share returns what modules with the digest have in common, for one more of them.
func (m *Machine) share(digest string) *shared {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.modules[digest]
	if s == nil {
		s = &shared{machine: m, digest: digest}
		m.modules[digest] = s
	}
	s.refs++
	return s
}

// unshare undoes one share.
func (m *Machine) unshare(ctx context.Context, s *shared) {
	m.mu.Lock()
	var drop wazero.CompiledModule
	var spares []spare
	if s.refs--; s.refs == 0 {
		delete(m.modules, s.digest)
		m.spares = slices.DeleteFunc(m.spares, func(other spare) bool {
			if other.shared == s {
				spares = append(spares, other)
			}
			return other.shared == s
		})
		m.idle = slices.DeleteFunc(m.idle, func(other *shared) bool { return other == s })
		if s.users == 0 {
			drop, s.compiled = s.compiled, nil
		}
	}
	m.mu.Unlock()
	m.dropSpares(ctx, spares)
	m.drop(ctx, drop)
}

func (m *Machine) drop(ctx context.Context, compiled ...wazero.CompiledModule) {
	for _, c := range compiled {
		if c == nil {
			continue
		}
		if err := c.Close(ctx); err != nil {
			m.log.Warn("freeing a compiled function", "error", err)
		}
	}
}

func (s *shared) file(kind string) string {
	return filepath.Join(s.machine.dir, fmt.Sprintf("%s-%d.%s", s.digest, fuel.Version, kind))
}

// prepare rewrites and compiles the module, unless that was done before.
func (s *shared) prepare(ctx context.Context, wasm []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.meta != nil {
		return nil
	}
	if err := s.recall(); err == nil {
		return nil
	} else if !errors.Is(err, os.ErrNotExist) {
		s.machine.log.Warn("a cached function is of no use and is made again", "error", err)
	}
	result, err := fuel.Rewrite(wasm)
	if err != nil {
		return err
	}
	compiled, err := s.machine.compile(ctx, result.Module)
	if err != nil {
		return model.Invalid("the WASM module cannot be compiled").WithWhy("%s", err).Wrap(err).
			WithHint("functions run WASM 2.0 modules without threads and exceptions")
	}
	if err := s.keep(result); err != nil {
		_ = compiled.Close(ctx)
		return err
	}
	s.machine.mu.Lock()
	s.compiled = compiled
	drop := s.machine.rest(s)
	s.machine.mu.Unlock()
	s.machine.drop(ctx, drop...)
	return nil
}

// compile compiles to native code. Some invalid modules make wazero panic.
func (m *Machine) compile(ctx context.Context, wasm []byte) (compiled wazero.CompiledModule, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the compiler failed: %v", r)
		}
	}()
	return m.runtime.CompileModule(ctx, wasm)
}

// recall reads what keep wrote.
func (s *shared) recall() error {
	b, err := os.ReadFile(s.file("json"))
	if err != nil {
		return err
	}
	var known meta
	if err := json.Unmarshal(b, &known); err != nil {
		return fmt.Errorf("reading %s: %w", s.file("json"), err)
	}
	if known.Memory != nil {
		if s.image, err = openSnapshot(s.file("mem")); err != nil {
			return err
		}
	}
	s.meta = &known
	return nil
}

// keep writes the rewritten module to the cache.
func (s *shared) keep(r *fuel.Result) error {
	known := &meta{Imports: r.Imports, Exports: r.Exports, Memory: r.Memory, Start: r.Start, Globals: r.Globals, Restorable: r.Restorable, Lifted: r.Lifted}
	if err := writeFile(s.file("wasm"), r.Module); err != nil {
		return err
	}
	if r.Memory != nil {
		if err := s.keepImage(r); err != nil {
			return err
		}
	}
	b, err := json.Marshal(known)
	if err != nil {
		return fmt.Errorf("encoding what a function is like: %w", err)
	}
	if err := writeFile(s.file("json"), b); err != nil {
		return err
	}
	s.meta = known
	return nil
}

// keepImage writes the memory that instances begin with.
func (s *shared) keepImage(r *fuel.Result) error {
	image := &Snapshot{fd: -1, header: header{Module: s.digest, Memory: uint64(r.Memory.Min)}}
	copy(image.ID[:], s.digest) // it follows from the module: not a matter of chance
	pages := map[uint32][]byte{}
	for _, d := range r.Data {
		for at, rest := d.Offset, d.Content; len(rest) > 0; {
			page := uint32(at / osPage)
			if pages[page] == nil {
				pages[page] = make([]byte, osPage)
			}
			n := copy(pages[page][at%osPage:], rest)
			at, rest = at+int64(n), rest[n:]
		}
	}
	if err := image.hold(pages); err != nil {
		return err
	}
	defer func() { _ = image.Close() }()
	if err := image.Save(s.file("mem")); err != nil {
		return err
	}
	var err error
	s.image, err = openSnapshot(s.file("mem"))
	return err
}

// acquire returns the native code for one more instance, from the disk where it is not in memory.
func (s *shared) acquire(ctx context.Context) (wazero.CompiledModule, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.machine
	m.mu.Lock()
	s.users++
	m.idle = slices.DeleteFunc(m.idle, func(other *shared) bool { return other == s })
	compiled := s.compiled
	m.mu.Unlock()
	if compiled != nil {
		return compiled, nil
	}
	wasm, err := os.ReadFile(s.file("wasm"))
	if err == nil {
		compiled, err = m.compile(ctx, wasm)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		s.users--
		return nil, fmt.Errorf("loading a function: %w", err)
	}
	s.compiled = compiled
	return compiled, nil
}

// release undoes one acquire. The native code of some modules without instances stays in memory.
func (s *shared) release(ctx context.Context) {
	m := s.machine
	m.mu.Lock()
	s.users--
	drop := m.rest(s)
	m.mu.Unlock()
	m.drop(ctx, drop...)
}

// rest notes that a module may have no instances, and takes the native code of those that have had none for longest. mu
// is held.
func (m *Machine) rest(s *shared) []wazero.CompiledModule {
	if s.users > 0 || s.compiled == nil {
		return nil
	}
	if s.refs == 0 {
		drop := s.compiled
		s.compiled = nil
		return []wazero.CompiledModule{drop}
	}
	m.idle = append(m.idle, s)
	var drop []wazero.CompiledModule
	for len(m.idle) > m.config.Idle {
		drop = append(drop, m.idle[0].compiled)
		m.idle[0].compiled = nil
		m.idle = m.idle[1:]
	}
	return drop
}
