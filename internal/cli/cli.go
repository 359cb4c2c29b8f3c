// Package cli is the command line: a client of the HTTP API like any other, but for the commands given to it that are
// the daemon itself. What a command prints as its result goes to Out; what it says along the way, to Err.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
)

// Config is what a command line runs in. The zero value runs in this process's own surroundings.
type Config struct {
	In       io.Reader           // nil: os.Stdin
	Out, Err io.Writer           // nil: os.Stdout, os.Stderr
	Env      func(string) string // nil: os.Getenv
	Dir      string              // "": the working directory
	Version  string              // "": "dev"
	Extra    []*cobra.Command    // added to the root command
}

// Run runs one command line, without the program's name, and returns its exit code. An error has been printed.
func Run(ctx context.Context, config Config, args []string) int {
	sh, root := newRoot(config)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var exit *exitError
	if !errors.As(err, &exit) && interrupted(ctx, err) {
		err = model.Errorf(model.KindCanceled, "interrupted")
	}
	if err != nil && (exit == nil || exit.err != nil) {
		writeError(sh.err, sh.errStyle(), sh.json, err)
	}
	return exitCode(err)
}

// New returns the root command. Its errors are for Run to print: use Run unless the command tree itself is wanted.
func New(config Config) *cobra.Command {
	_, root := newRoot(config)
	return root
}

// shell is what the commands of one command line share.
type shell struct {
	output
	env     func(string) string
	dir     string
	version string

	box, org string // flags
	app      string // flag -a
	appEnv   string // flag -e
	yes      bool   // flag -y
}

func newRoot(config Config) (*shell, *cobra.Command) {
	sh := &shell{output: output{in: config.In, out: config.Out, err: config.Err}, env: config.Env, dir: config.Dir, version: config.Version}
	if sh.in == nil {
		sh.in = os.Stdin
	}
	if sh.out == nil {
		sh.out = os.Stdout
	}
	if sh.err == nil {
		sh.err = os.Stderr
	}
	if sh.env == nil {
		sh.env = os.Getenv
	}
	if sh.dir == "" {
		sh.dir = "."
	}
	if sh.version == "" {
		sh.version = "dev"
	}
	sh.noColor = sh.env("NO_COLOR") != ""

	root := &cobra.Command{
		Use:           "pandabox",
		Short:         "A whole Platform-as-a-Service on one Linux box",
		Long:          "pandabox runs your apps on one Linux box: deploy, see, scale, roll back.\n\nOn the box itself root needs no login. Elsewhere begin with: pandabox login https://HOST",
		Version:       sh.version,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ArbitraryArgs,
		RunE: sh.overview,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmd.ValidateFlagGroups(); err != nil {
				return flagError(cmd, err)
			}
			if d, err := cmd.Flags().GetDuration("timeout"); err == nil && cmd.Flags().Changed("timeout") && d <= 0 {
				return model.Invalid("--timeout %s is no time to wait", d).WithHint("leave it out to wait to the end, or add --detach not to wait")
			}
			return nil
		},
	}
	root.SetIn(sh.in)
	root.SetOut(sh.out)
	root.SetErr(sh.err)
	root.SetVersionTemplate("pandabox {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	f := root.PersistentFlags()
	f.SortFlags = false
	f.StringVar(&sh.box, "box", "", "the box: a name from login, or its address (PANDABOX_BOX)")
	f.StringVar(&sh.org, "org", "", "the org (PANDABOX_ORG)")
	f.BoolVar(&sh.json, "json", false, "print results as JSON")
	f.BoolVarP(&sh.quiet, "quiet", "q", false, "print results and errors only")
	f.BoolVarP(&sh.yes, "yes", "y", false, "answer every question with yes")
	complete(root, "box", sh.completeBoxes)

	for _, g := range groups(sh) {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	root.AddCommand(aliases(sh)...)
	ownCompletion(root)
	for _, c := range config.Extra {
		if c.GroupID == "" && !c.Hidden {
			c.GroupID = "box"
		}
		root.AddCommand(c)
	}
	return sh, root
}

type group struct {
	id, title string
	commands  []*cobra.Command
}

func groups(sh *shell) []group {
	return []group{
		{"run", "Ship and run:", []*cobra.Command{
			sh.deploy(), sh.build(), sh.builds(), sh.status(), sh.ps(), sh.logs(), sh.open(), sh.scale(), sh.restart(), sh.releases(), sh.rollback(), sh.promote(), sh.deploys(), sh.exec(), sh.run(), sh.destroy(),
		}},
		{"functions", "Functions:", []*cobra.Command{sh.fn(), sh.kv()}},
		{"configure", "Configure:", []*cobra.Command{
			sh.apps(), sh.domains(), sh.environ(), sh.job(), sh.track(), sh.protect(true), sh.protect(false), sh.approvals(), sh.previews(), sh.repos(), sh.hooks(), sh.git(), sh.keys(), sh.tokens(),
		}},
		{"box", "The box:", []*cobra.Command{
			sh.login(), sh.logout(), sh.boxes(), sh.doctor(), sh.events(), sh.audit(), sh.backup(), sh.claim(), sh.versionCommand(),
		}},
	}
}

// overview is pandabox without a command, or with one there is not.
func (sh *shell) overview(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	return unknownCommand(cmd, args[0])
}

// unknownCommand refuses a word that is no command below cmd, and names the nearest that is.
func unknownCommand(cmd *cobra.Command, word string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(append(names, c.Name()), c.Aliases...)
		}
	}
	e := model.Invalid("%s has no command %q", cmd.CommandPath(), word)
	if near := manifest.Nearest(word, names); near != "" {
		return e.WithHint("did you mean %s %s?", cmd.CommandPath(), near)
	}
	return e.WithHint("see what there is: %s --help", cmd.CommandPath())
}

func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	text := err.Error()
	e := model.Invalid("%s", text)
	if name, ok := strings.CutPrefix(text, "unknown flag: --"); ok {
		if near := manifest.Nearest(name, flagNames(cmd)); near != "" {
			return e.WithHint("did you mean --%s?", near)
		}
	}
	return e.WithHint("see: %s --help", cmd.CommandPath())
}
