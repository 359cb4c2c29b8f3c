package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestDetect(t *testing.T) {
	const worker = "import x from './x'\n\nexport default { fetch() { return new Response('hi') } }\n"
	for name, c := range map[string]struct {
		files map[string]string
		main  string // "" for no function
	}{
		"nothing":                {map[string]string{}, ""},
		"typescript":             {map[string]string{"src/index.ts": worker, "package.json": "{}"}, "src/index.ts"},
		"javascript":             {map[string]string{"index.js": worker}, "index.js"},
		"named":                  {map[string]string{"index.mjs": "const app = 1\nexport { app as default }\n"}, "index.mjs"},
		"commonjs":               {map[string]string{"index.js": "module.exports = { fetch() {} }\nexports.default = 1\n"}, "index.js"},
		"a manifest of the name": {map[string]string{"src/index.ts": worker, FileName: "app = \"x\"\n[variables]\nA = \"1\"\n[env.staging.variables]\nA = \"2\"\n"}, "src/index.ts"},
		"a library":              {map[string]string{"index.js": "export const a = 1\n"}, ""},
		"only words":             {map[string]string{"index.js": "// export default\nconst s = 'export default'\n"}, ""},
		"with a Dockerfile":      {map[string]string{"index.js": worker, "Dockerfile": "FROM scratch\n"}, ""},
		"with a Containerfile":   {map[string]string{"index.js": worker, "Containerfile": "FROM scratch\n"}, ""},
		"with a Procfile":        {map[string]string{"index.js": worker, ProcfileName: "web: node index.js\n"}, ""},
		"with an image":          {map[string]string{"index.js": worker, FileName: "image = \"x:1\"\n"}, ""},
		"with an image later":    {map[string]string{"index.js": worker, FileName: "[env.staging]\nimage = \"x:1\"\n"}, ""},
		"a server of its own":    {map[string]string{"index.js": worker, "package.json": `{"scripts": {"start": "node index.js"}}`}, ""},
		"a worker of its own":    {map[string]string{"index.js": worker, "package.json": `{"scripts": {"start": "wrangler dev"}}`}, "index.js"},
		"a package.json no more": {map[string]string{"index.js": worker, "package.json": `{"scripts": `}, "index.js"},
		"with a process":         {map[string]string{"index.js": worker, FileName: "[process.web]\nport = 80\n"}, ""},
		"a web app":              {map[string]string{"index.js": worker, FileName: "kind = \"web\"\n"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range c.files {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755); err != nil {
					t.Fatal(err)
				}
				write(t, dir, file, text)
			}
			m, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			is := m.Kind == model.KindFunction
			if m.Detected != c.main || is != (c.main != "") {
				t.Errorf("detected %q, kind %s", m.Detected, m.Kind)
			}
			for _, env := range []string{Production, "staging", "preview"} {
				if s := m.For(env); (s.Function != nil) != is || is && len(s.Volumes) > 0 {
					t.Errorf("%s: got %+v", env, s)
				}
			}
		})
	}
}

func TestAsFunctionAndAsImage(t *testing.T) {
	for doc, want := range map[string][2]bool{
		"":                           {true, true},
		"app = \"x\"":                {true, true},
		"kind = \"web\"":             {false, true},
		"kind = \"function\"":        {true, false},
		"[function]":                 {true, false},
		"[process.web]\nport = 80":   {false, true},
		"[env.a]\nimage = \"x:1\"\n": {false, true},
	} {
		for _, env := range []string{"a", "b"} {
			m, err := Parse([]byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			if got := m.AsFunction(); got != want[0] || (m.For(env).Function != nil) != got || got && len(m.For(env).Volumes) > 0 {
				t.Errorf("%q as a function: %v, %+v", doc, got, m.For(env))
			}
			if got := m.AsImage(); got != want[1] || (m.For(env).Function == nil) != got || got && len(m.For(env).Volumes) == 0 {
				t.Errorf("%q as an image: %v, %+v", doc, got, m.For(env))
			}
		}
	}
}

func TestProcfileOfAFunction(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, ProcfileName, "web: ./x\n")
	write(t, dir, FileName, "app = \"x\"\n[function]\nmain = \"index.js\"\n")
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "a function has no processes, and there is a Procfile") {
		t.Errorf("got %v", err)
	}
}

func TestAsStatic(t *testing.T) {
	for doc, want := range map[string]bool{
		"": true,
		"app = \"site\"\n[build]\ntarget = \"x\"": true,
		"[static]\nspa = true":                    true,
		"kind = \"web\"":                          false,
		"image = \"x:1\"":                         false,
		"[process.web]\nport = 80":                false,
		"kind = \"worker\"":                       false,
		"[[job]]\nname = \"tidy\"\nschedule = \"@daily\"\npath = \"/\"": false,
	} {
		m, err := Parse([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.AsStatic(); got != want || got != (m.Kind == model.KindStatic) {
			t.Errorf("%q: %v, kind %s", doc, got, m.Kind)
		}
		if s := m.For(Production); want != (s.Static != nil) || want && s.Volumes != nil || want && m.AsImage() {
			t.Errorf("%q: settings %+v", doc, s)
		}
	}
}
