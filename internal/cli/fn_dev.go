package cli

import (
	"net/url"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/model"
)

// Of fn dev.
const (
	devPort = 8787
	devEnv  = "development"
)

func (sh *shell) fnDev() *cobra.Command {
	var port int
	var env, upstream string
	cmd := &cobra.Command{
		Use: "dev", Short: "Try the folder's function here, again at every saved file",
		Long: `Serve the folder's function on this machine, on the engines and under the limits that the box has. No box, no daemon
and no root is needed. Every saved change is served at once; what is wrong with it is shown with its file and line, and
the version before goes on. Ctrl-C ends it.

Variables come from [variables] of pandabox.toml, then .env, then .dev.vars. env.KV is kept in the folder .pandabox. A
GET of /__scheduled calls the function's scheduled handler.`,
		Example: `  pandabox fn dev
  pandabox fn dev --port 3000 --env staging
  pandabox fn dev --upstream http://127.0.0.1:3000`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := model.CheckName("environment", env); err != nil {
				return err
			}
			if port < 0 || port > 65535 {
				return model.Invalid("%d is not a port", port).WithHint("choose 1 to 65535, or 0 for any that is free")
			}
			next, err := upstreamOf(upstream)
			if err != nil {
				return err
			}
			return sh.dev(cmd.Context(), port, env, next)
		},
	}
	f := cmd.Flags()
	f.IntVarP(&port, "port", "p", devPort, "the port on 127.0.0.1; 0 for any that is free")
	f.StringVarP(&env, "env", "e", devEnv, "the environment whose section of pandabox.toml counts")
	f.StringVar(&upstream, "upstream", "", "where next(request) leads to, for a function with middleware = true")
	return cmd
}

func upstreamOf(address string) (*url.URL, error) {
	if address == "" {
		return nil, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, model.Invalid("--upstream %s is no address", address).WithHint("for example: --upstream http://127.0.0.1:3000")
	}
	return u, nil
}
