package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/test/ociimage"
)

// jsApp is a package of JavaScript beside the app, and what its app does with it.
func jsApp(manager, more string) map[string]string {
	return map[string]string{
		"package.json": `{"name":"shop","version":"1.0.0","engines":{"node":"` + ociimage.NodeVersion + `"},"scripts":{"start":"node index.js"},"dependencies":{"greet":"file:./greet"}` + more + `}`,
		"index.js": `const hello = require("greet")
require("http").createServer((req, res) => res.end(hello("from ` + manager + ` 1"))).listen(process.env.PORT)
`,
		"greet/package.json": "{\"name\":\"greet\",\"version\":\"1.0.0\",\"main\":\"index.js\"}\n",
		"greet/index.js":     "module.exports = (who) => \"hello \" + who\n",
	}
}

// with adds files to others.
func with(files map[string]string, more ...string) map[string]string {
	for i := 0; i+1 < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	return files
}

// rubyGem makes a gem of one file of Ruby, as gem build does.
func rubyGem(t *testing.T, name, code string) string {
	t.Helper()
	zip := func(data []byte) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	archive := func(files ...string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for i := 0; i < len(files); i += 2 {
			if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(files[i+1])); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	about := `--- !ruby/object:Gem::Specification
name: ` + name + `
version: !ruby/object:Gem::Version
  version: 1.0.0
specification_version: 4
platform: ruby
authors: [nobody]
summary: greets
files: [lib/` + name + `.rb]
require_paths: [lib]
required_ruby_version: !ruby/object:Gem::Requirement
  requirements: [[">=", !ruby/object:Gem::Version {version: "0"}]]
required_rubygems_version: !ruby/object:Gem::Requirement
  requirements: [[">=", !ruby/object:Gem::Version {version: "0"}]]
`
	return string(archive("metadata.gz", string(zip([]byte(about))), "data.tar.gz", string(zip(archive("lib/"+name+".rb", code)))))
}

// languageApps are folders without a Dockerfile, by name; each answers "hello from NAME 1". None handles SIGTERM.
func languageApps(t *testing.T) map[string]map[string]string {
	t.Helper()
	viteLock, err := os.ReadFile("testdata/golden/vite-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	const rubyServer = `require "greet"
require "socket"
server = TCPServer.new("0.0.0.0", ENV.fetch("PORT").to_i)
loop do
  client = server.accept
  while (line = client.gets) && line != "\r\n"; end
  body = greet("from NAME 1")
  client.write("HTTP/1.1 200 OK\r\nContent-Length: #{body.bytesize}\r\nConnection: close\r\n\r\n#{body}")
  client.close
end
`
	const pythonServer = `import http.server, os
import wheel

class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello from NAME 1")

http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Hello).serve_forever()
`
	named := func(text, name string) string { return strings.ReplaceAll(text, "NAME", name) }
	return map[string]map[string]string{
		"ruby": {
			"Gemfile":                      "source \"https://rubygems.org\"\nruby \"~> " + ociimage.RubyVersion + "\"\ngem \"greet\"\n",
			"Gemfile.lock":                 "GEM\n  remote: https://rubygems.org/\n  specs:\n    greet (1.0.0)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  greet\n\nBUNDLED WITH\n   2.3.15\n",
			"vendor/cache/greet-1.0.0.gem": rubyGem(t, "greet", "def greet(who) = \"hello #{who}\"\n"),
			"app.rb":                       named(rubyServer, "ruby"),
		},
		"rubypath": { // no lock file, and a gem beside the app
			".ruby-version":            ociimage.RubyVersion + "\n",
			"Gemfile":                  "gem \"greet\", path: \"gems/greet\"\n",
			"gems/greet/greet.gemspec": "Gem::Specification.new { |s| s.name, s.version, s.summary, s.authors, s.files = \"greet\", \"1.0.0\", \"greets\", [\"nobody\"], [\"lib/greet.rb\"] }\n",
			"gems/greet/lib/greet.rb":  "def greet(who) = \"hello #{who}\"\n",
			"app.rb":                   named(rubyServer, "rubypath"),
		},
		"php": {
			"composer.json":                `{"require":{"php":"~` + ociimage.PHPVersion + `.0","acme/greet":"*"},"repositories":[{"type":"path","url":"packages/greet"},{"packagist.org":false}],"autoload":{"psr-4":{"App\\":"src/"}}}`,
			"packages/greet/composer.json": `{"name":"acme/greet","version":"1.0.0","autoload":{"files":["greet.php"]}}`,
			"packages/greet/greet.php":     "<?php\nfunction greet(string $who): string { return \"hello $who\"; }\n",
			"src/Page.php":                 "<?php\nnamespace App;\nclass Page { public function show(): string { return greet('from php 1'); } }\n",
			"public/index.php":             "<?php\nrequire '../vendor/autoload.php';\necho (new App\\Page)->show();\n",
			"public/.htaccess":             "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^ index.php [L]\n",
		},
		"hugo": {
			"pandabox.toml":       "app = \"hugo\"\nkind = \"static\"\n",
			"hugo.toml":           "title = \"hello\"\nbaseURL = \"https://example.com/\"\ndisableKinds = [\"taxonomy\", \"term\", \"RSS\", \"sitemap\"]\n",
			"content/_index.md":   "---\ntitle: hello from hugo 1\n---\n",
			"layouts/index.html":  "{{ .Title }}",
			"static/robots.txt":   "User-agent: *\n",
			"layouts/404.html":    "nothing",
			"archetypes/.gitkeep": "",
		},
		"vitejs": {
			"package.json":      `{"name":"shop","version":"1.0.0","type":"module","engines":{"node":"` + ociimage.NodeVersion + `"},"scripts":{"build":"vite build"},"devDependencies":{"vite":"5.4.21"}}`,
			"package-lock.json": string(viteLock),
			"index.html":        "hello from vitejs 1",
		},
		"pnpm": with(jsApp("pnpm", `,"packageManager":"pnpm@`+ociimage.PnpmVersion+`"`), "pnpm-lock.yaml",
			"lockfileVersion: '9.0'\n\nsettings:\n  autoInstallPeers: true\n  excludeLinksFromLockfile: false\n\nimporters:\n\n  .:\n    dependencies:\n      greet:\n        specifier: file:./greet\n        version: file:greet\n\npackages:\n\n  greet@file:greet:\n    resolution: {directory: greet, type: directory}\n\nsnapshots:\n\n  greet@file:greet: {}\n"),
		"yarn": with(jsApp("yarn", ""), "yarn.lock",
			"# yarn lockfile v1\n\n\n\"greet@file:./greet\":\n  version \"1.0.0\"\n"),
		"berry": with(jsApp("berry", `,"packageManager":"yarn@`+ociimage.YarnVersion+`"`), "yarn.lock",
			"# This file is generated by running \"yarn install\" inside your project.\n# Manual changes might be lost - proceed with caution!\n\n__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\"greet@file:./greet::locator=shop%40workspace%3A.\":\n  version: 1.0.0\n  resolution: \"greet@file:./greet#./greet::hash=8f1d41&locator=shop%40workspace%3A.\"\n  checksum: 10c0/4de008bf5aff81ae8011bc9938b1823b71b2daf9e909e318e8a2120c2ffb29d1802abba8c557588c56ffa4377baa08bb0a326311f8f70d30304224bf23dd7afe\n  languageName: node\n  linkType: hard\n\n\"shop@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"shop@workspace:.\"\n  dependencies:\n    greet: \"file:./greet\"\n  languageName: unknown\n  linkType: soft\n"),
		"pyproject": {
			"pyproject.toml": "[project]\nname = \"shop\"\nversion = \"1.0.0\"\nrequires-python = \"~=" + ociimage.PythonVersion + ".0\"\ndependencies = [\"wheel >= 0.38; python_version > '3'\"]\n",
			"main.py":        named(pythonServer, "pyproject"),
			"static/a.txt":   "a",
			"templates/a.py": "",
		},
		"pypackage": {
			"pyproject.toml":   "[build-system]\nrequires = [\"setuptools\", \"wheel\"]\nbuild-backend = \"setuptools.build_meta\"\n\n[project]\nname = \"shop\"\nversion = \"1.0.0\"\nrequires-python = \"~=" + ociimage.PythonVersion + ".0\"\ndependencies = [\"wheel\"]\n\n[tool.setuptools]\npackages = [\"shop\"]\n",
			"Procfile":         "web: python -m shop\n",
			"shop/__init__.py": "",
			"shop/__main__.py": named(pythonServer, "pypackage"),
		},
	}
}

// stopsSoon bounds a deploy of an app whose build is cached, and whose replica before does not handle its stop signal: a
// replica that sat out its grace would take 10 s more.
const stopsSoon = 8 * time.Second

// TestLanguagesServe deploys a folder of each language, and once more with a change.
func TestLanguagesServe(t *testing.T) {
	w := start(t)
	w.bases("node", "python", "ruby", "php", "composer", "hugo")
	for app, files := range languageApps(t) {
		t.Run(app, func(t *testing.T) {
			one := *w
			one.T = t
			one.serves(app, files)
		})
	}
}

// TestRustServes deploys a folder of Rust, whose base is the largest.
func TestRustServes(t *testing.T) {
	w := start(t)
	w.bases("debian", "rust")
	w.serves("rust", map[string]string{
		"Cargo.toml": "[package]\nname = \"shop\"\nversion = \"1.0.0\"\nedition = \"2021\"\n\n[dependencies]\ngreet = { path = \"greet\" }\n",
		"Cargo.lock": "version = 3\n\n[[package]]\nname = \"greet\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"shop\"\nversion = \"1.0.0\"\ndependencies = [\n \"greet\",\n]\n",
		"src/main.rs": `use std::io::{BufRead, BufReader, Write};

fn main() {
    let port = std::env::var("PORT").expect("PORT");
    let server = std::net::TcpListener::bind(format!("0.0.0.0:{port}")).expect("listen");
    for client in server.incoming().flatten() {
        let mut client = client;
        let head = BufReader::new(client.try_clone().expect("clone")).lines().map_while(Result::ok);
        head.take_while(|l| !l.is_empty()).count();
        let body = greet::hello("from rust 1");
        let _ = write!(client, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    }
}
`,
		"greet/Cargo.toml": "[package]\nname = \"greet\"\nversion = \"1.0.0\"\nedition = \"2021\"\n",
		"greet/src/lib.rs": "pub fn hello(who: &str) -> String {\n    format!(\"hello {who}\")\n}\n",
	})
}

// serves deploys a folder, changes it and deploys it again; then as it is, which must not take an app's grace.
func (w *world) serves(app string, files map[string]string) {
	w.Helper()
	f := w.website(app, files)
	began := time.Now()
	f.run(0, nil, "deploy", "-a", app)
	w.answers(app, "/", "hello from "+app+" 1")
	first := time.Since(began)
	for name, text := range files {
		f.write(name, strings.ReplaceAll(text, "from "+app+" 1", "from "+app+" 2"))
	}
	f.run(0, nil, "deploy", "-a", app)
	w.answers(app, "/", "hello from "+app+" 2")
	began = time.Now()
	f.run(0, nil, "deploy", "-a", app)
	took := time.Since(began)
	if w.status(app).Kind != model.KindStatic {
		if id := strings.TrimSpace(f.run(0, nil, "exec", "-a", app, "--", "id", "-u").Out); id == "0" || id == "" {
			w.Errorf("%s runs as user %q", app, id)
		}
	}
	w.Logf("%s: %v, again %v", app, first, took)
	if took > stopsSoon {
		w.Errorf("%s: nothing changed, and a deploy took %v", app, took)
	}
}
