package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"github.com/pandabox/pandabox/pkg/model"
)

// logins is the file of boxes a person is logged in to, ~/.config/pandabox/config.toml. It holds secrets: mode 0600.
type logins struct {
	Current string           `toml:"current,omitempty"` // name of the box meant where none is named
	Boxes   map[string]login `toml:"box,omitempty"`

	file string
}

// login is how one box is reached.
type login struct {
	URL   string `toml:"url"`
	Token string `toml:"token"`
	Org   string `toml:"org,omitempty"`
	CA    string `toml:"ca,multiline,omitempty"` // PEM; "" where the system's roots are enough
}

func (sh *shell) loginsFile() (string, error) {
	if dir := sh.env("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "pandabox", "config.toml"), nil
	}
	if home := sh.env("HOME"); home != "" {
		return filepath.Join(home, ".config", "pandabox", "config.toml"), nil
	}
	return "", model.Invalid("there is no place for logins").WithWhy("HOME is not set").WithHint("set HOME, or PANDABOX_BOX and PANDABOX_TOKEN")
}

// logins reads the file; one that is not there holds nothing.
func (sh *shell) logins() (*logins, error) {
	file, err := sh.loginsFile()
	if err != nil {
		return nil, err
	}
	l := &logins{file: file}
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, model.Invalid("the logins cannot be read").Wrap(err)
	}
	if err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(l); err != nil {
		return nil, model.Invalid("%s is damaged", file).Wrap(err).WithHint("remove it and log in again: pandabox login https://HOST")
	}
	if l.Boxes == nil {
		l.Boxes = map[string]login{}
	}
	return l, nil
}

// names returns the boxes' names, sorted.
func (l *logins) names() []string { return slices.Sorted(maps.Keys(l.Boxes)) }

// save replaces the file in one step.
func (l *logins) save() (err error) {
	b, err := toml.Marshal(l)
	if err != nil {
		return fmt.Errorf("encoding the logins: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(l.file), 0o700); err != nil {
		return fmt.Errorf("saving the logins: %w", err)
	}
	return writeFile(l.file, func(f *os.File) error {
		_, err := f.Write(b)
		return err
	})
}

// writeFile makes a file, readable by its owner only, that appears whole or not at all.
func writeFile(name string, fill func(*os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := fill(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
