package cli

import (
	"os/exec"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) open() *cobra.Command {
	return sh.aboutApp(&cobra.Command{
		Use: "open", Short: "Open the app in a browser, or print its address", Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			w, err := c.Workload(cmd.Context(), ref)
			if err != nil {
				return err
			}
			if w.URL == "" {
				return model.NotFound("%s in %s has no address", ref.App, ref.Env).WithHint("%s", hint("domains add HOST", ref))
			}
			if sh.json {
				return sh.writeJSON(map[string]string{"url": w.URL})
			}
			if browser := sh.browser(); browser != "" && terminal(sh.out) != nil {
				if exec.CommandContext(cmd.Context(), browser, w.URL).Run() == nil {
					sh.say("opened %s", w.URL)
					return nil
				}
			}
			return sh.line("%s", w.URL)
		},
	})
}

// browser returns the program that opens an address, "" where nobody would see it.
func (sh *shell) browser() string {
	name := "xdg-open"
	switch {
	case runtime.GOOS == "darwin":
		name = "open"
	case sh.env("DISPLAY") == "" && sh.env("WAYLAND_DISPLAY") == "":
		return ""
	}
	file, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return file
}
