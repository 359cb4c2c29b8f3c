package e2e

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/test/ociimage"
)

// bases brings the bases of languages to the box, as somebody does whose box has no internet.
func (w *world) bases(languages ...string) {
	w.Helper()
	cache, err := ociimage.CacheDir()
	if err != nil {
		w.Fatal(err)
	}
	all, err := ociimage.Bases(w.Context(), cache, languages...)
	if err != nil {
		w.Fatal(err)
	}
	for _, b := range all {
		w.cli(0, "build", "base", "add", "--name", b.Name, b.Archive)
	}
}

// goldenApps are folders without a Dockerfile, by language; each answers "hello from LANGUAGE 1".
func goldenApps() map[string]map[string]string {
	return map[string]map[string]string{
		"go": {
			"go.mod": "module example.com/shop\n\ngo " + ociimage.GoVersion() + "\n\nrequire " + ociimage.GoModule + " v1.0.0\n",
			"go.sum": ociimage.GoSum,
			"main.go": `package main

import (
	"net/http"
	"os"

	"example.com/greet"
)

func main() {
	http.HandleFunc("/up", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(greet.Hello("from go 1"))) })
	panic(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
`,
		},
		"node": {
			"package.json":      `{"name":"shop","version":"1.0.0","engines":{"node":"` + ociimage.NodeVersion + `"},"scripts":{"start":"node index.js"},"dependencies":{"picocolors":"1.1.1"}}`,
			"package-lock.json": ociimage.NpmLock,
			"index.js": `const { red } = require("picocolors")
process.on("SIGTERM", () => process.exit())
require("http").createServer((req, res) => res.end(typeof red === "function" ? "hello from node 1" : "")).listen(process.env.PORT)
`,
		},
		"python": {
			".python-version":  ociimage.PythonVersion + "\n",
			"requirements.txt": "wheel==0.38.4\n",
			"main.py": `import http.server, os, signal, sys
import wheel

class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello from python 1")

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
http.server.HTTPServer(("", int(os.environ["PORT"])), Hello).serve_forever()
`,
		},
		"vite": {
			"pandabox.toml":     "app = \"vite\"\nkind = \"static\"\n\n[static]\ndir = \"dist\"\n",
			"package.json":      `{"name":"shop","version":"1.0.0","engines":{"node":"` + ociimage.NodeVersion + `"},"scripts":{"build":"node build.js"},"dependencies":{"picocolors":"1.1.1"}}`,
			"package-lock.json": ociimage.NpmLock,
			"build.js": `const fs = require("fs")
fs.mkdirSync("dist")
fs.writeFileSync("dist/index.html", "hello from vite 1")
`,
		},
		"files": {"index.html": "hello from files 1"},
	}
}

// TestGoldenPathsServe deploys a folder of each language, twice as it is and once changed.
func TestGoldenPathsServe(t *testing.T) {
	w := start(t)
	w.bases("debian", "golang", "node", "python")
	for app, files := range goldenApps() {
		f := w.website(app, files)
		f.run(0, nil, "deploy", "-a", app)
		w.answers(app, "/", "hello from "+app+" 1")
		r := f.run(0, nil, "deploy", "-a", app)
		m := regexp.MustCompile(`(\d+) of (\d+) cached`).FindStringSubmatch(r.Err)
		if app != "files" && (m == nil || m[1] == "0") {
			t.Errorf("%s: nothing changed, and it says\n%s", app, r.Err)
		}
		for name, text := range files {
			f.write(name, strings.ReplaceAll(text, "from "+app+" 1", "from "+app+" 2"))
		}
		f.run(0, nil, "deploy", "-a", app)
		w.answers(app, "/", "hello from "+app+" 2")
		w.cli(0, "rollback", "-y", "-a", app)
		w.answers(app, "/", "hello from "+app+" 1")
	}
}

// TestBuildOptions deploys a Dockerfile with a stage, an argument and a secret, and looks for the secret everywhere.
func TestBuildOptions(t *testing.T) {
	w := start(t)
	w.bases("debian")
	const secret = "correct-horse-battery-staple"
	w.succeed("shop", vars(w.image()))
	if r := w.box.RunInput(t.Context(), secret, "env", "set", "TOKEN", "--secret", "-a", "shop"); r.Code != 0 {
		t.Fatalf("secrets set: %s%s", r.Out, r.Err)
	}
	f := w.folder("shop")
	f.write("Dockerfile", `FROM debian:bookworm-slim AS made
ARG WHO=nobody
RUN --mount=type=secret,id=TOKEN test "$(cat /run/secrets/TOKEN)" = `+secret+` && cat /run/secrets/TOKEN && echo "for $WHO" >/who
FROM debian:bookworm-slim AS chosen
COPY testapp /
COPY --from=made /who /who
ENV VERSION=chosen
CMD ["/testapp"]
FROM scratch AS other
RUN ["/missing"]
`)
	text, err := f.read("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	f.write("Dockerfile", strings.ReplaceAll(text, secret, "$(cat /run/secrets/TOKEN)")) // the source itself must not hold it
	r := f.run(0, nil, "deploy", "--target", "chosen", "--build-arg", "WHO=ada", "--build-secret", "TOKEN")
	if code, body, err := w.get("shop", "/env/VERSION"); err != nil || code != http.StatusOK || body != "chosen" {
		t.Errorf("the app: %d %q %v", code, body, err)
	}
	if out := f.run(0, nil, "exec", "--", "cat", "/who").Out; out != "for ada\n" {
		t.Errorf("/who is %q", out)
	}
	log := f.run(0, nil, "builds", "log").Out
	for what, text := range map[string]string{"what deploy says": r.Out + r.Err, "the log": log} {
		if strings.Contains(text, "horse") || !strings.Contains(text, "•••••") {
			t.Errorf("%s:\n%s", what, text)
		}
	}
	for _, name := range w.search(secret) {
		// The app itself runs with it: its container's specification holds it.
		if base := filepath.Base(name); base != "meta.db" && base != "config.json" {
			t.Errorf("the secret is in %s", name)
		}
	}
	f.run(5, []string{`NOSUCH`}, "deploy", "--target", "chosen", "--build-secret", "NOSUCH")
	f.run(5, nil, "deploy", "--target", "nosuchstage", "--build-secret", "TOKEN")
	w.answers("shop", "/", "shop chosen")
}
