package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/edge/bundle"
	"github.com/pandabox/pandabox/pkg/model"
)

const defaultTemplate = "ts"

func (sh *shell) fnInit() *cobra.Command {
	var template string
	cmd := &cobra.Command{
		Use: "init [FOLDER]", Short: "Write a function to begin with",
		Long: "Write a function to begin with into a new folder, or into this one. The folder's name becomes the app's.\n\n" + templatesText(),
		Example: `  pandabox fn init hello
  pandabox fn init api --template hono`,
		Args: wants(0, 1, "pandabox fn init hello"),
		RunE: func(_ *cobra.Command, args []string) error {
			folder := "."
			if len(args) > 0 {
				folder = args[0]
			}
			return sh.initFunction(folder, template)
		},
	}
	cmd.Flags().StringVarP(&template, "template", "t", defaultTemplate, "what to begin with")
	complete(cmd, "template", fixed(templateNames()...))
	return cmd
}

func (sh *shell) initFunction(folder, template string) error {
	dir, err := filepath.Abs(sh.path(folder))
	if err != nil {
		return model.Invalid("the folder %s cannot be found", folder).Wrap(err)
	}
	name := model.Slug(filepath.Base(dir))
	if name == "" {
		return model.Invalid("no name can be made of the folder %s", dir).WithHint("pandabox fn init hello")
	}
	files, err := bundle.WriteTemplate(dir, name, template)
	if err != nil {
		return err
	}
	if sh.json {
		return sh.writeJSON(map[string]any{"app": name, "folder": dir, "files": files})
	}
	sh.done("%s, a function in %s: %s", name, folder, strings.Join(files, ", "))
	sh.say("  next:")
	if folder != "." {
		sh.say("    cd %s", folder)
	}
	again := "saved file"
	for _, t := range bundle.Templates() {
		if t.Name != template {
			continue
		}
		for _, command := range t.Build {
			sh.say("    %s", command)
		}
		if slices.Contains(files, "Makefile") {
			again = "build"
		}
	}
	sh.say("    pandabox fn dev       # try it here, again at every %s", again)
	sh.say("    pandabox fn deploy    # ship it")
	return nil
}

func templateNames() (names []string) {
	for _, t := range bundle.Templates() {
		names = append(names, t.Name)
	}
	return names
}

func templatesText() string {
	width := len(slices.MaxFunc(templateNames(), func(a, b string) int { return len(a) - len(b) }))
	var b strings.Builder
	b.WriteString("Templates:\n")
	for _, t := range bundle.Templates() {
		_, _ = fmt.Fprintf(&b, "  %-*s  %s\n", width, t.Name, t.About)
	}
	return strings.TrimRight(b.String(), "\n")
}
