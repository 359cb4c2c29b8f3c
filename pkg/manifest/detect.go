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
func (m *Manifest) detect(dir string, containers bool) {
	if containers || isThere(dir, "Dockerfile") {
		return
	}
	for _, below := range []string{"src", ""} {
		for _, ext := range []string{".ts", ".mts", ".js", ".mjs"} {
			main := filepath.Join(below, "index"+ext)
			if !hasDefaultExport(filepath.Join(dir, main)) {
				continue
			}
			m.Kind, m.Detected = model.KindFunction, filepath.ToSlash(main)
			m.base = m.base.asFunction()
			for env, s := range m.envs {
				m.envs[env] = s.asFunction()
			}
			return
		}
	}
}

func (s Settings) asFunction() Settings {
	s.Function, s.Volumes = &Function{}, nil
	return s
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
