package manifest

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

var defaultExport = regexp.MustCompile(`^\s*(export\s+default\b|export\s*\{.*\bdefault\b|module\.exports\s*=|exports\.default\s*=)`)

// detect makes the manifest one of a function where nobody said what runs in the folder and its main file looks like
// one: JavaScript or TypeScript with a default export, and no Dockerfile.
func (m *Manifest) detect(dir string) {
	if m.saysWhat || isThere(dir, "Dockerfile") {
		return
	}
	for _, below := range []string{"src", ""} {
		for _, ext := range []string{".ts", ".mts", ".js", ".mjs"} {
			main := filepath.Join(below, "index"+ext)
			if !hasDefaultExport(filepath.Join(dir, main)) {
				continue
			}
			m.AsFunction()
			m.Detected = filepath.ToSlash(main)
			return
		}
	}
}

// AsFunction makes the manifest one of a function where nobody said what runs in the folder. It tells whether it is one.
func (m *Manifest) AsFunction() bool {
	if m.Kind != model.KindFunction && !m.saysWhat {
		m.Kind = model.KindFunction
		m.each(func(s *Settings) { s.Function, s.Volumes = &Function{}, nil })
	}
	return m.Kind == model.KindFunction
}

// AsImage takes back that the folder is a function where nobody said so: an image is deployed from it. It tells whether
// one can be.
func (m *Manifest) AsImage() bool {
	if m.Kind == model.KindFunction && !m.saysWhat {
		m.Kind, m.Detected = model.KindWeb, ""
		m.each(func(s *Settings) { s.Function, s.Volumes = nil, []model.Mount{DefaultVolume()} })
	}
	return m.Kind != model.KindFunction
}

func (m *Manifest) each(change func(*Settings)) {
	change(&m.base)
	for env, s := range m.envs {
		change(&s)
		m.envs[env] = s
	}
}

func isThere(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

func hasDefaultExport(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, MaxSize)
	for lines.Scan() {
		if text := lines.Text(); strings.Contains(text, "export") && defaultExport.MatchString(text) {
			return true
		}
	}
	return false
}
