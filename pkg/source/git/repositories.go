package git

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Repositories is the folder they are in, and who uses which of them just now. Its methods may be called from any
// goroutine; one folder has one Repositories.
type Repositories struct {
	dir string

	mu    sync.Mutex
	locks map[string]*sync.RWMutex // by app
}

// Open makes the folder where it is not there, and removes what pushes left that were under way when pandabox ended, in the
// repositories too.
func Open(dir string) (*Repositories, error) {
	in := filepath.Join(dir, incoming)
	if err := os.RemoveAll(in); err != nil {
		return nil, fmt.Errorf("emptying the folder of pushes: %w", err)
	}
	if err := os.MkdirAll(in, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of pushes: %w", err)
	}
	homes, err := filepath.Glob(filepath.Join(dir, "*"+repositoryEnds))
	if err != nil {
		return nil, err
	}
	for _, home := range homes {
		if err := openRepo(home).sweep(); err != nil {
			return nil, err
		}
	}
	return &Repositories{dir: dir, locks: map[string]*sync.RWMutex{}}, nil
}

// Reclaim removes the repositories of apps that are not in keep, by id. Repositories made meanwhile stay.
func (r *Repositories) Reclaim(keep map[string]bool, began time.Time) error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return fmt.Errorf("looking through the repositories: %w", err)
	}
	var errs []error
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), repositoryEnds)
		info, err := e.Info()
		if !ok || keep[id] || err != nil || info.ModTime().After(began) {
			continue
		}
		unlock := r.lock(id)
		errs = append(errs, os.RemoveAll(filepath.Join(r.dir, e.Name())))
		unlock()
	}
	return errors.Join(errs...)
}

func (r *Repositories) dirOf(id string) string { return filepath.Join(r.dir, id+repositoryEnds) }

func (r *Repositories) lockOf(id string) *sync.RWMutex {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.locks[id]
	if l == nil {
		l = &sync.RWMutex{}
		r.locks[id] = l
	}
	return l
}

// lock keeps others away from a repository, also who reads it.
func (r *Repositories) lock(id string) (unlock func()) {
	l := r.lockOf(id)
	l.Lock()
	return l.Unlock
}

// share keeps those away who change a repository.
func (r *Repositories) share(id string) (unlock func()) {
	l := r.lockOf(id)
	l.RLock()
	return l.RUnlock
}
