package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/pandabox/pandabox/pkg/model"
)

// The files read, and the greatest size of either in bytes.
const (
	FileName     = "pandabox.toml"
	ProcfileName = "Procfile"
	MaxSize      = 1 << 20
)

// Production is the environment that the top level of pandabox.toml speaks of when it names domains.
const Production = "production"

// Manifest is what a folder says about its app. The zero value says nothing.
type Manifest struct {
	App     string        // "" where it is not said
	Project string        // "" where it is not said
	Kind    model.AppKind // model.KindWeb where it is not said
	Files   []string      // names of the files that were read

	// Detected is the main file that makes the folder a function though nobody said so; "" where Kind was said, or is web.
	Detected string

	saysWhat  bool  // a kind, or something that only one kind has
	saysBuild bool  // [build] is there
	jobs      []job // nil where no file says which there are
	hasJobs   bool  // [[job]] is there
	base      Settings
	envs      map[string]Settings
}

// Settings is what to deploy in one environment.
type Settings struct {
	Function  *Function         // of an app of kind function, nil of any other; Image, Processes and Volumes are empty then
	Static    *model.Static     // of an app of kind static, nil of any other; Image, Processes and Volumes are empty then
	Build     Build             // how the folder is built; zero where Image is said
	Image     string            // reference or path as written; "" where it is not said
	Processes []model.Process   // sorted by name; empty: the image's own command as web
	Volumes   []model.Mount     // /storage where nothing is said
	Variables map[string]string // set with the deploy
	Secrets   []string          // sorted names of variables that are write-only
	Required  []string          // sorted names of variables without which the deploy is refused
	Domains   []string          // in the order written
	Jobs      *[]model.JobSpec  // nil where no file says which there are: those of the release before stay
}

// DefaultVolume is mounted where pandabox.toml names no volume.
func DefaultVolume() model.Mount { return model.Mount{Volume: "storage", Path: "/storage"} }

// Load reads the files of a folder. A folder with none gives a Manifest of defaults.
func Load(dir string) (*Manifest, error) {
	procfile, err := readFile(dir, ProcfileName)
	if err != nil {
		return nil, err
	}
	doc, err := readFile(dir, FileName)
	if err != nil {
		return nil, err
	}
	var processes []model.Process
	if procfile != nil {
		if processes, err = ParseProcfile(procfile); err != nil {
			return nil, err
		}
	}
	m, err := parse(doc, processes)
	if err != nil {
		return nil, err
	}
	m.saysWhat = m.saysWhat || procfile != nil
	m.detect(dir)
	if err := m.loadAppJSON(dir); err != nil {
		return nil, err
	}
	if doc != nil {
		m.Files = append(m.Files, FileName)
	}
	if procfile != nil {
		m.Files = append(m.Files, ProcfileName)
	}
	return m, nil
}

// Parse reads the text of a pandabox.toml. A fault is an *Error.
func Parse(doc []byte) (*Manifest, error) { return parse(doc, nil) }

// For returns the settings of an environment.
func (m *Manifest) For(env string) Settings {
	if s, ok := m.envs[env]; ok {
		s.Jobs = m.jobsFor(env)
		return s
	}
	s := m.base
	s.Jobs = m.jobsFor(env)
	if env != Production {
		s.Domains = nil
	}
	return s
}

// Envs returns the names of the environments pandabox.toml has a section for, sorted.
func (m *Manifest) Envs() []string { return slices.Sorted(maps.Keys(m.envs)) }

func readFile(dir, name string) ([]byte, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, model.Invalid("%s cannot be read", name).Wrap(err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, model.Invalid("%s cannot be read", name).Wrap(err)
	}
	if len(b) > MaxSize {
		return nil, &Error{File: name, Line: 1, Column: 1, What: fmt.Sprintf("the file is larger than %d KiB", MaxSize>>10)}
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}
