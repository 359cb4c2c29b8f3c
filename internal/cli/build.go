package cli

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/build/plan"
	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source/pack"
)

// dockerfileName is what eject writes.
const dockerfileName = "Dockerfile"

func (sh *shell) build() *cobra.Command {
	cmd := &cobra.Command{
		Use: "build", Short: "How a folder becomes an image", Args: nothing,
		Long: `How a folder becomes an image or a static site. pandabox deploy builds on the box; what was built is listed by
pandabox builds.`,
		Example: `  pandabox build plan
  pandabox build eject`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(sh.buildPlan(), sh.buildEject(), sh.buildPrune(), sh.buildBase())
	return cmd
}

func (sh *shell) buildPlan() *cobra.Command {
	var b building
	cmd := &cobra.Command{
		Use: "plan", Short: "Show how the folder would be built", Args: nothing,
		Long: `Show how the folder would be built, why, and the Dockerfile of it. Nothing is built and no box is needed. The folder
counts as it would be uploaded: without what git or the ignore file leaves out.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, p, err := sh.planOfFolder(cmd.Context(), b, nil)
			if err != nil {
				return err
			}
			return sh.tellPlan(p)
		},
	}
	cmd.Flags().StringVar(&b.dockerfile, "dockerfile", "", "the Dockerfile to build from (default: as pandabox.toml says, or found out)")
	return sh.aboutApp(cmd)
}

func (sh *shell) buildEject() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "eject", Short: "Write how the folder is built as a Dockerfile, to be changed", Args: nothing,
		Long: `Write how the folder is built as its Dockerfile. From then on that is what is built: it is yours to change, and no
longer follows what the project's files say.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return sh.eject(cmd.Context(), force) },
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace the Dockerfile that is there")
	return sh.aboutApp(cmd)
}

func (sh *shell) buildPrune() *cobra.Command {
	return &cobra.Command{
		Use: "prune", Short: "Remove the box's build cache", Args: nothing,
		Long: "Remove the box's build cache: layers and packages kept from earlier builds. Apps and releases stay; the next build of\neach takes longer. The cache has a budget of its own, so this is seldom needed.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			n, err := c.PruneBuilds(cmd.Context())
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(map[string]int64{"bytes": n})
			}
			sh.done("the build cache is removed, %s", size(n))
			return nil
		},
	}
}

// planOfFolder finds out how the folder the command runs in is built, with hidden files left out of sight.
func (sh *shell) planOfFolder(ctx context.Context, b building, hidden []string) (string, *plan.Plan, error) {
	dir, err := sh.projectDir()
	if err != nil {
		return "", nil, err
	}
	m, err := manifest.Load(dir)
	if err != nil {
		return "", nil, err
	}
	ref, _, err := sh.infer(m)
	if err != nil {
		return "", nil, err
	}
	s := m.For(ref.Env)
	switch {
	case s.Function != nil:
		return "", nil, model.Invalid("%s is a function: it is bundled, not built", dir).WithHint("pandabox deploy ships it; pandabox fn dev tries it here")
	case s.Image != "":
		return "", nil, model.Invalid("%s deploys the image %s: nothing is built", dir, s.Image).WithHint("take image out of %s to build the folder", manifest.FileName)
	}
	tree, err := pack.Look(ctx, dir)
	if err != nil {
		return "", nil, err
	}
	tree.Files = slices.DeleteFunc(tree.Files, func(f string) bool { return slices.Contains(hidden, f) })
	if hidden != nil {
		s.Build.Dockerfile = ""
	}
	src, err := sh.planSource(tree, m.Kind, s.Build, ref.App, b)
	if err != nil {
		return "", nil, err
	}
	return dir, src.plan, nil
}

// tellPlan prints a plan: its name, why, and its Dockerfile.
func (sh *shell) tellPlan(p *plan.Plan) error {
	if sh.json {
		return sh.writeJSON(model.BuildPlan{Name: p.String(), File: p.File, Dockerfile: p.Dockerfile, Output: p.Output, Reasons: p.Reasons})
	}
	s := sh.outStyle()
	if err := sh.line("%s", s.bold(printable(p.String()))); err != nil {
		return err
	}
	for _, r := range p.Reasons {
		if err := sh.line("  because %s", printable(r)); err != nil {
			return err
		}
	}
	if p.Static() {
		if err := sh.line("  serves the files of %s", printable(p.Output)); err != nil {
			return err
		}
	}
	if p.Dockerfile == "" {
		return sh.line("  nothing is built")
	}
	if err := sh.line(""); err != nil {
		return err
	}
	for l := range strings.Lines(p.Dockerfile) {
		if err := sh.line("%s", printable(strings.TrimRight(l, "\r\n"))); err != nil {
			return err
		}
	}
	return nil
}

// eject writes the plan's Dockerfile into the folder.
func (sh *shell) eject(ctx context.Context, force bool) error {
	var hidden []string
	if force {
		hidden = []string{dockerfileName, "Containerfile"}
	}
	dir, p, err := sh.planOfFolder(ctx, building{}, hidden)
	if err != nil {
		return err
	}
	at := filepath.Join(dir, dockerfileName)
	switch {
	case p.File != "":
		return model.Conflict("the folder has a %s of its own", p.File).WithHint("change that; or replace it by what the files say: pandabox build eject --force")
	case p.Dockerfile == "":
		return model.Invalid("nothing is built: the files of %s are served as they are", p.Output).WithHint("see: pandabox build plan")
	case exists(at) && !force: // git or the ignore file leaves it out
		return model.Conflict("there is a %s already", dockerfileName).WithHint("replace it: pandabox build eject --force")
	}
	if err := os.WriteFile(at, []byte(p.Dockerfile), fs.FileMode(0o644)); err != nil {
		return model.Invalid("%s cannot be written", at).Wrap(err)
	}
	if sh.json {
		return sh.writeJSON(map[string]string{"file": at, "plan": p.String()})
	}
	sh.done("%s, from %s; what is built is now up to that file", dockerfileName, p)
	if p.Static() {
		sh.say("    it stays a static site once %s says:\n\n[static]\ndir = %q\n", manifest.FileName, strings.TrimPrefix(p.Output, "/"))
	}
	return nil
}
