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
		{[]string{"job:add", "jobs:add", "cron:add"}, sh.jobAdd},
		{[]string{"job:list", "jobs:list", "cron:list"}, sh.jobList},
		{[]string{"job:show", "jobs:show"}, sh.jobShow},
		{[]string{"job:run", "jobs:run", "cron:run"}, sh.jobRun},
		{[]string{"job:pause", "jobs:pause", "cron:suspend"}, sh.jobPause},
		{[]string{"job:resume", "jobs:resume", "cron:resume"}, sh.jobResume},
		{[]string{"job:history", "jobs:history"}, sh.jobHistory},
		{[]string{"job:logs", "jobs:logs"}, sh.jobLogs},
		{[]string{"job:cancel", "jobs:cancel"}, sh.jobCancel},
		{[]string{"job:remove", "jobs:remove"}, sh.jobRemove},
		{[]string{"job:explain", "jobs:explain"}, sh.jobExplain},
		{[]string{"build:plan"}, sh.buildPlan},
		{[]string{"build:eject"}, sh.buildEject},
		{[]string{"build:prune"}, sh.buildPrune},
		{[]string{"builds:log", "builds:output"}, sh.buildsLog},
		{[]string{"builds:cancel"}, sh.buildsCancel},
		{[]string{"ps:scale"}, sh.scale},
		{[]string{"ps:restart"}, sh.restart},
		{[]string{"ps:report"}, sh.ps},
		{[]string{"releases:rollback"}, sh.rollback},
		{[]string{"apps:list"}, sh.apps},
		{[]string{"apps:destroy"}, sh.destroy},
		{[]string{"tokens:create"}, sh.tokensCreate},
		{[]string{"tokens:revoke"}, sh.tokensRevoke},
		{[]string{"tokens:list"}, sh.tokens},
		{[]string{"keys:add"}, sh.keysAdd},
		{[]string{"keys:remove", "keys:rm"}, sh.keysRemove},
		{[]string{"git:remote"}, sh.gitRemote},
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
