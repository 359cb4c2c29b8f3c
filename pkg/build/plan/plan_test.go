package plan

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pandabox/pandabox/pkg/model"
)

var update = flag.Bool("update", false, "write what is planned to testdata")

// TestDetect compares the plan of each folder in testdata with the one that stands behind its files.
func TestDetect(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) < 20 {
		t.Fatalf("%d folders, %v", len(archives), err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			if n := len(a.Files); n > 0 && a.Files[n-1].Name == "PLAN" {
				want = string(a.Files[n-1].Data)
				a.Files = a.Files[:n-1]
			}
			got := show(t, a)
			if *update {
				a.Files = append(a.Files, txtar.File{Name: "PLAN", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(a), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// show plans the folder of an archive, whose comment holds the options.
func show(t *testing.T, a *txtar.Archive) string {
	dir := t.TempDir()
	if err := txtar.Write(a, dir); err != nil {
		t.Fatal(err)
	}
	options := map[string]string{}
	for row := range strings.Lines(string(a.Comment)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(row), ": "); ok {
			options[k] = v
		}
	}
	p, err := Detect(os.DirFS(dir), Options{
		Dockerfile: options["dockerfile"], Kind: model.AppKind(options["kind"]), Output: options["output"], App: options["app"],
	})
	if err != nil {
		var e *model.Error
		if !errors.As(err, &e) || e.Hint == "" && !strings.Contains(e.What, "cannot be read") {
			t.Fatalf("%v is no error for people", err)
		}
		return "error: " + e.Error() + "\ntry: " + e.Hint + "\n"
	}
	out := p.String() + "\n"
	for _, r := range p.Reasons {
		out += "- " + r + "\n"
	}
	if p.Static() {
		out += "output: " + p.Output + "\n"
	}
	return out + "\n" + p.Dockerfile
}

func TestCut(t *testing.T) {
	for in, want := range map[string]string{">=20.1 <23": "20.1", "^8.2": "8.2", "python-3.12.4": "3.12", "v22": "22", "stable": "", "": "", "lts/*": "", "1.": "1"} {
		if got := cut(in, 2); got != want {
			t.Errorf("cut(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFitting(t *testing.T) {
	for _, c := range [][3]string{
		{">=18", "24", "24"}, {"*", "24", "24"}, {"<25", "24", "24"}, {">=0.10", "24", "24"}, {"^18 || ^20", "24", "20"}, {">=18 <23", "24", "22"},
		{"18.x", "24", "18"}, {"20.11.1", "24", "20.11.1"}, {">=26", "24", "26"}, {"lts/*", "24", "lts/*"}, {"", "24", ""}, {">=20.9", "24", "24"},
		{"^7.4 || ^8.0", "8.4", "8.4"}, {"~8.2.0", "8.4", "8.2"}, {"8.3.*", "8.4", "8.3"}, {">=8.1 <8.3", "8.4", "8.2"},
		{"<4.0,>=3.10", "3.13", "3.13"}, {">=3.9,<3.13", "3.13", "3.12"}, {"~=3.11", "3.13", "3.13"}, {"~=3.11.0", "3.13", "3.11"},
		{"==3.12.*", "3.13", "3.12"}, {">=3.8, !=3.13.*", "3.13", "3.12"}, {"<99999999999999999999", "24", "<99999999999999999999"},
	} {
		if got := fitting(c[0], c[1]); got != c[2] {
			t.Errorf("fitting(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

func TestHugeFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "package.json"), make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Detect(os.DirFS(dir), Options{}); err == nil {
		t.Error("a package.json of 4 MiB was read")
	}
}

// TestOnlyFilesAreRead plans folders whose files are links to what is none, and to what is outside.
func TestOnlyFilesAreRead(t *testing.T) {
	for _, name := range []string{"Dockerfile", "package.json", "go.mod", "requirements.txt", "Procfile", "index.html"} {
		for _, target := range []string{"/dev/zero", "/dev/tty", "/proc/self/mem", "/etc/passwd", "."} {
			dir := t.TempDir()
			if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			if p, err := Detect(root.FS(), Options{}); err == nil {
				t.Errorf("%s → %s: %+v", name, target, p)
			} else if e := (*model.Error)(nil); !errors.As(err, &e) || strings.Contains(e.Error()+e.Why, "root:x") {
				t.Errorf("%s → %s: %v", name, target, err)
			}
			_ = root.Close()
			if strings.HasPrefix(target, "/dev/") {
				if _, err := Detect(os.DirFS(dir), Options{}); err == nil && name != "index.html" {
					t.Errorf("%s → %s was read", name, target)
				}
			}
		}
	}
}
