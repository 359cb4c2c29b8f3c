package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

var update = flag.Bool("update", false, "write docs/cli anew")

const docsDir = "../../docs/cli"

// TestDocs compares docs/cli with the commands. With -update it writes the pages.
func TestDocs(t *testing.T) {
	root := New(Config{Extra: serviceCommands("dev")})
	root.DisableAutoGenTag = true
	root.InitDefaultCompletionCmd()
	want := map[string][]byte{}
	pages(t, root, want)
	if *update {
		old, err := filepath.Glob(filepath.Join(docsDir, "pandabox*.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range old {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
		for name, page := range want {
			if err := os.WriteFile(filepath.Join(docsDir, name), page, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, page := range want {
		got, err := os.ReadFile(filepath.Join(docsDir, name))
		if err != nil || !bytes.Equal(got, page) {
			t.Errorf("docs/cli/%s is not current (%v); write it anew: go test ./internal/cli -run TestDocs -update", name, err)
		}
	}
	files, err := filepath.Glob(filepath.Join(docsDir, "pandabox*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if want[filepath.Base(f)] == nil {
			t.Errorf("docs/cli/%s is about a command there is not", filepath.Base(f))
		}
	}
}

func pages(t *testing.T, cmd *cobra.Command, into map[string][]byte) {
	t.Helper()
	var b bytes.Buffer
	if err := doc.GenMarkdown(cmd, &b); err != nil {
		t.Fatal(err)
	}
	into[strings.ReplaceAll(cmd.CommandPath(), " ", "_")+".md"] = append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			pages(t, c, into)
		}
	}
}

// TestWords checks what every command says of itself.
func TestWords(t *testing.T) {
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		for _, text := range []string{cmd.Short, cmd.Long, cmd.Example} {
			for _, line := range strings.Split(text, "\n") {
				if len([]rune(line)) > 120 {
					t.Errorf("%s: a line is %d characters long: %s", cmd.CommandPath(), len([]rune(line)), line)
				}
			}
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || cmd.Short[:1] != strings.ToUpper(cmd.Short[:1]) {
			t.Errorf("%s: %q should be a phrase with a capital letter and no full stop", cmd.CommandPath(), cmd.Short)
		}
		if cmd.Runnable() && cmd.Args == nil && !cmd.DisableFlagParsing {
			t.Errorf("%s does not say which arguments it takes", cmd.CommandPath())
		}
		for _, c := range cmd.Commands() {
			check(c)
		}
	}
	check(New(Config{Extra: serviceCommands("dev")}))
}

// TestAliases checks that every colon form is the command it stands for.
func TestAliases(t *testing.T) {
	root := New(Config{})
	var names []string
	for _, c := range root.Commands() {
		if !strings.Contains(c.Name(), ":") && c.Name() != "config" {
			continue
		}
		names = append(names, c.Name())
		if !c.Hidden || c.RunE == nil || c.HasSubCommands() {
			t.Errorf("%s is shown, or does nothing, or has commands below it", c.Name())
		}
	}
	for _, want := range []string{"config", "config:set", "config:unset", "config:get", "ps:scale", "domains:add", "releases:rollback"} {
		if !slices.Contains(names, want) {
			t.Errorf("there is no %s", want)
		}
	}
}
