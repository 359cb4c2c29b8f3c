package bundle

import (
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestTemplatesAreWritten(t *testing.T) {
	for _, template := range Templates() {
		dir := filepath.Join(t.TempDir(), "new")
		names, err := WriteTemplate(dir, "my-fn", template.Name)
		if err != nil {
			t.Fatal(err)
		}
		if len(names) < 3 {
			t.Errorf("%s has only %v", template.Name, names)
		}
		for _, name := range names {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "{{") || strings.HasSuffix(name, ".tmpl") {
				t.Errorf("%s: %s is not filled in", template.Name, name)
			}
			if pretty, err := format.Source(text); strings.HasSuffix(name, ".go") && (err != nil || string(pretty) != string(text)) {
				t.Errorf("%s: %s is not formatted, %v", template.Name, name, err)
			}
		}
		if text, err := os.ReadFile(filepath.Join(dir, "pandabox.toml")); err != nil || !strings.HasPrefix(string(text), "app = \"my-fn\"\nkind = \"function\"\n") {
			t.Errorf("%s: pandabox.toml is %q, %v", template.Name, text, err)
		}
	}
	dirs, err := fs.ReadDir(files, "templates")
	if err != nil || len(dirs) != len(Templates()) {
		t.Errorf("there are %d folders of %d templates, %v", len(dirs), len(Templates()), err)
	}
}

func TestATemplateOverwritesNothing(t *testing.T) {
	dir := folder(t, map[string]string{"src/index.js": "mine"})
	_, err := WriteTemplate(dir, "hello", "js")
	if model.KindOf(err) != model.KindConflict || !strings.Contains(err.Error(), "src/index.js") {
		t.Errorf("written: %v", err)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "src/index.js")); string(text) != "mine" {
		t.Errorf("it is %q now", text)
	}
	if _, err := os.Stat(filepath.Join(dir, "pandabox.toml")); err == nil {
		t.Error("a part was written")
	}
}

func TestTemplatesOfNoSuchNameAreRefused(t *testing.T) {
	if _, err := WriteTemplate(t.TempDir(), "hello", "cobol"); model.KindOf(err) != model.KindNotFound {
		t.Errorf("written: %v", err)
	}
	if _, err := WriteTemplate(t.TempDir(), "Not A Name", "js"); model.KindOf(err) != model.KindInvalid {
		t.Errorf("written: %v", err)
	}
}

func TestTheScriptTemplatesBuild(t *testing.T) {
	for _, name := range []string{"js", "ts"} {
		dir := t.TempDir()
		if _, err := WriteTemplate(dir, "hello", name); err != nil {
			t.Fatal(err)
		}
		if b, err := Build(t.Context(), dir, Options{}); err != nil || len(b.Warnings) > 0 || b.Runtime != model.RuntimeJS {
			t.Errorf("%s: %v, %+v", name, err, b)
		}
	}
}
