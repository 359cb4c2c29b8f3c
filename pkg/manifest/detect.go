package manifest

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

var defaultExport = regexp.MustCompile(`^\s*(export\s+default\b|export\s*\{.*\bdefault\b|module\.exports\s*=|exports\.default\s*=)`)

// detect makes the manifest one of a function where nobody said what runs in the folder and its main file looks like
// one: JavaScript or TypeScript with a default export, no Dockerfile, and no server of package.json's.
func (m *Manifest) detect(dir string) {
	if m.saysWhat || m.saysBuild || isThere(dir, "Dockerfile") || isThere(dir, "Containerfile") || startsItself(dir) {
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
	if m.Kind != model.KindFunction && !m.saysWhat && !m.saysBuild {
		m.Kind = model.KindFunction
		m.each(func(s *Settings) { s.Function, s.Volumes = &Function{}, nil })
	}
	return m.Kind == model.KindFunction
}

// AsStatic makes the manifest one of a static site where nobody said what runs in the folder, as a build plan that makes
// one finds out. It tells whether it is one.
func (m *Manifest) AsStatic() bool {
	if m.Kind == model.KindWeb && !m.saysWhat && len(m.jobs) == 0 {
		m.Kind = model.KindStatic
		m.each(func(s *Settings) { s.Static, s.Volumes = &model.Static{}, nil })
	}
	return m.Kind == model.KindStatic
}

// AsImage takes back that the folder is a function where nobody said so: an image is deployed from it. It tells whether
// one can be.
func (m *Manifest) AsImage() bool {
	if m.Kind == model.KindFunction && !m.saysWhat {
		m.Kind, m.Detected = model.KindWeb, ""
		m.each(func(s *Settings) { s.Function, s.Volumes = nil, []model.Mount{DefaultVolume()} })
	}
	return m.Kind != model.KindFunction && m.Kind != model.KindStatic
}

func (m *Manifest) each(change func(*Settings)) {
	change(&m.base)
	for env, s := range m.envs {
		change(&s)
		m.envs[env] = s
	}
}

// startsItself tells whether package.json says how to start the folder as a server of its own.
func startsItself(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return false
	}
	var pkg struct{ Scripts struct{ Start string } }
	if err := json.Unmarshal(text, &pkg); err != nil {
		return false // the bundler says what is wrong with it
	}
	start := pkg.Scripts.Start
	return start != "" && !strings.Contains(start, "wrangler") && !strings.Contains(start, "pandabox")
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
