package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/edge/bundle"
	"github.com/pandabox/pandabox/pkg/manifest"
)

const functionsPage = "../../docs/functions.md"

// snippets returns the blocks of a language in a page.
func snippets(t *testing.T, file, language string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, part := range strings.Split(string(b), "```"+language+"\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		out = append(out, text)
	}
	if len(out) == 0 {
		t.Fatalf("%s has no %s", file, language)
	}
	return out
}

// TestFunctionsPage reads every file of the page as pandabox would.
func TestFunctionsPage(t *testing.T) {
	for _, text := range snippets(t, functionsPage, "toml") {
		m, err := manifest.Parse([]byte(text))
		if err != nil {
			t.Errorf("%v in\n%s", err, text)
		} else if text != "" && m.For(manifest.Production).Function == nil {
			t.Errorf("no function:\n%s", text)
		}
	}
	for language, name := range map[string]string{"js": "index.js", "ts": "index.ts"} {
		for _, text := range snippets(t, functionsPage, language) {
			if !strings.Contains(text, "export default") {
				text = "export default { async fetch(request, env) {\n" + text + "\n} };\n"
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := bundle.Build(t.Context(), dir, bundle.Options{}); err != nil {
				t.Errorf("%v in\n%s", err, text)
			}
		}
	}
}

// TestFunctionsPageNamesWhatThereIs looks up every command line of the page.
func TestFunctionsPageNamesWhatThereIs(t *testing.T) {
	b, err := os.ReadFile(functionsPage)
	if err != nil {
		t.Fatal(err)
	}
	root, seen := New(Config{}), 0
	for _, line := range strings.Split(string(b), "\n") {
		_, after, ok := strings.Cut(line, "pandabox ")
		if !ok || !strings.HasPrefix(strings.TrimLeft(line, "$ "), "pandabox ") && !strings.Contains(line, "`pandabox ") && !strings.Contains(line, "| pandabox ") {
			continue
		}
		after, _, _ = strings.Cut(after, "`")
		words := strings.Fields(after)
		if len(words) == 0 {
			continue
		}
		cmd, rest, err := root.Find(words)
		if err != nil || cmd == root {
			t.Errorf("there is no command in %q: %v", line, err)
			continue
		}
		for _, word := range rest {
			name, isFlag := strings.CutPrefix(word, "--")
			if name, _, _ = strings.Cut(name, "="); isFlag && name != "" && cmd.Flag(strings.TrimRight(name, ",;:")) == nil {
				t.Errorf("%s has no flag %s: %q", cmd.CommandPath(), word, line)
			}
		}
		seen++
	}
	if seen < 20 {
		t.Errorf("only %d command lines were found", seen)
	}
}
