package cli

import "github.com/spf13/cobra"

// aliases are the colon forms people know from Heroku and Dokku. They are the commands themselves under another name,
// and stay out of help.
func aliases(sh *shell) []*cobra.Command {
	var out []*cobra.Command
	for _, a := range []struct {
		names []string
		make  func() *cobra.Command
	}{
		{[]string{"config", "config:show", "env:list"}, sh.envList},
		{[]string{"config:get", "env:get"}, sh.envGet},
		{[]string{"config:set", "env:set"}, sh.envSet},
		{[]string{"config:unset", "env:unset"}, sh.envUnset},
		{[]string{"domains:add"}, sh.domainsAdd},
		{[]string{"domains:remove"}, sh.domainsRemove},
		{[]string{"domains:cert", "certs:add"}, sh.domainsCert},
		{[]string{"domains:list", "domains:report"}, sh.domains},
		{[]string{"ps:scale"}, sh.scale},
		{[]string{"ps:restart"}, sh.restart},
		{[]string{"ps:report"}, sh.ps},
		{[]string{"releases:rollback"}, sh.rollback},
		{[]string{"apps:list"}, sh.apps},
		{[]string{"apps:destroy"}, sh.destroy},
		{[]string{"tokens:create"}, sh.tokensCreate},
		{[]string{"tokens:revoke"}, sh.tokensRevoke},
		{[]string{"tokens:list"}, sh.tokens},
		{[]string{"fn:init"}, sh.fnInit},
		{[]string{"fn:dev"}, sh.fnDev},
		{[]string{"fn:deploy"}, sh.fnDeploy},
		{[]string{"fn:invoke"}, sh.fnInvoke},
		{[]string{"fn:logs"}, sh.fnLogs},
		{[]string{"kv:get"}, sh.kvGet},
		{[]string{"kv:put"}, sh.kvPut},
		{[]string{"kv:delete"}, sh.kvDelete},
		{[]string{"kv:list"}, sh.kvList},
	} {
		for _, name := range a.names {
			cmd := a.make()
			cmd.Use, cmd.Aliases, cmd.Hidden = name, nil, true
			cmd.RemoveCommand(cmd.Commands()...)
			out = append(out, cmd)
		}
	}
	return out
}
