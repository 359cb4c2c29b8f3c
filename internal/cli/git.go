package cli

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) git() *cobra.Command {
	cmd := &cobra.Command{Use: "git", Short: "Deploy with git push", Args: nothing, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(sh.gitRemote(), sh.gitCredential())
	return cmd
}

func (sh *shell) gitRemote() *cobra.Command {
	var name string
	var port int
	var overSSH bool
	cmd := &cobra.Command{
		Use: "remote", Short: "Add the remote that git push deploys to", Args: nothing,
		Example: "  pandabox git remote && git push pandabox main\n  pandabox git remote --ssh",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ref, err := sh.target()
			if err != nil {
				return err
			}
			c, err := sh.connect()
			if err != nil {
				return err
			}
			box, err := c.Info(cmd.Context())
			if err != nil {
				return err
			}
			at, err := url.Parse(box.URL)
			if err != nil {
				return model.Invalid("the box tells no address of its own").Wrap(err)
			}
			path := "/" + ref.App + ".git"
			if org := c.Org(); org != model.DefaultOrg {
				path = "/" + org + path
			}
			remote := strings.TrimRight(box.URL, "/") + "/git" + path
			if overSSH {
				if port == 0 {
					port = box.SSHPort
				}
				if port == 0 {
					return model.Errorf(model.KindUnavailable, "the box takes no pushes over SSH").
						WithHint(`push over HTTPS: pandabox git remote; or set ssh_addr = ":2222" in the configuration of the box`)
				}
				remote = "ssh://git@" + net.JoinHostPort(at.Hostname(), fmt.Sprint(port)) + path
			} else if err := sh.setCredentials(cmd.Context(), c, strings.TrimRight(box.URL, "/")); err != nil {
				return err
			}
			if err := sh.setRemote(cmd.Context(), name, remote); err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(map[string]string{"name": name, "url": remote})
			}
			sh.done("%s is %s; deploy with: git push %s main", name, remote, name)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", gitRemote, "what the remote is called")
	cmd.Flags().BoolVar(&overSSH, "ssh", false, "push over SSH, with a key from pandabox keys add")
	cmd.Flags().IntVar(&port, "ssh-port", 0, "the port, where it is reached at another than the box's own ssh_addr")
	return sh.aboutApp(cmd)
}

// setRemote adds a remote to the repository, or leads it elsewhere.
func (sh *shell) setRemote(ctx context.Context, name, url string) error {
	if _, err := sh.runGit(ctx, "remote", "get-url", name); err == nil {
		_, err = sh.runGit(ctx, "remote", "set-url", name, url)
		return err
	}
	_, err := sh.runGit(ctx, "remote", "add", name, url)
	return err
}

// setCredentials lets git ask this program for the token of the login, and trust the box's own CA.
func (sh *shell) setCredentials(ctx context.Context, c *client.Client, box string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	key := "credential." + box + ".helper"
	if _, err := sh.runGit(ctx, "config", "--replace-all", key, ""); err != nil { // nobody else is asked, nor told the token
		return err
	}
	if _, err := sh.runGit(ctx, "config", "--add", key, "!'"+strings.ReplaceAll(self, "'", `'\''`)+"' git credential"); err != nil {
		return err
	}
	// Over HTTP/2 libcurl (7.88 does, in Debian 12) may ask git for more after the end of an upload; git waits for ever then.
	if _, err := sh.runGit(ctx, "config", "--replace-all", "http."+box+".version", "HTTP/1.1"); err != nil {
		return err
	}
	in, err := sh.loginAt(box)
	if err != nil {
		return err
	}
	if in.URL == "" { // root on the box itself, where git has no such way in
		ca, err := c.CA(ctx)
		if err != nil && model.KindOf(err) != model.KindNotFound {
			return err
		}
		in.CA = string(ca)
		sh.say("  git will ask for a password: give it a token (pandabox tokens create git), or log in first: pandabox login %s", box)
	}
	if in.CA == "" {
		return nil
	}
	file, err := sh.loginsFile()
	if err != nil {
		return err
	}
	at, err := url.Parse(box)
	if err != nil {
		return fmt.Errorf("reading the box's address: %w", err)
	}
	file = filepath.Join(filepath.Dir(file), "ca-"+strings.ReplaceAll(at.Host, ":", "-")+".pem")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("keeping the box's CA for git: %w", err)
	}
	if err := os.WriteFile(file, []byte(in.CA), 0o644); err != nil { // it is public
		return fmt.Errorf("keeping the box's CA for git: %w", err)
	}
	_, err = sh.runGit(ctx, "config", "--replace-all", "http."+box+".sslCAInfo", file)
	return err
}

// loginAt returns the login to a box; without a token where there is none.
func (sh *shell) loginAt(box string) (login, error) {
	l, err := sh.logins()
	if err != nil {
		return login{}, err
	}
	for _, in := range l.Boxes {
		if strings.TrimRight(in.URL, "/") == box {
			return in, nil
		}
	}
	return login{}, nil
}

func (sh *shell) runGit(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = sh.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", model.Invalid("git %s failed", args[0]).Wrap(err).WithWhy("%s", strings.TrimSpace(string(out)+" "+err.Error())).
			WithHint("is git installed, and is this a repository? git init")
	}
	return string(out), nil
}

// gitCredential speaks git's protocol of credential helpers.
func (sh *shell) gitCredential() *cobra.Command {
	return &cobra.Command{
		Use: "credential get", Short: "Tell git the token of a login; git asks for it itself", Args: wants(1, 1, "pandabox git credential get"), Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if args[0] != "get" {
				return nil // store, erase: the login is kept elsewhere
			}
			asked := map[string]string{}
			for lines := bufio.NewScanner(sh.in); lines.Scan() && len(asked) < 100; {
				if key, value, ok := strings.Cut(lines.Text(), "="); ok {
					asked[key] = value
				}
			}
			in, err := sh.loginAt(asked["protocol"] + "://" + asked["host"])
			if err != nil || asked["protocol"] != "https" {
				return err
			}
			if token := sh.env("PANDABOX_TOKEN"); token != "" {
				in.Token = token
			}
			if in.Token == "" {
				return nil // git asks the person
			}
			return sh.line("username=pandabox\npassword=%s", in.Token)
		},
	}
}
