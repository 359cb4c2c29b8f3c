package cli

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) login() *cobra.Command {
	var o loginOptions
	cmd := &cobra.Command{
		Use: "login URL", Short: "Log in to a box, with a token or a claim link",
		Long: `Log in to a box. URL is its address, or the claim link that its installation printed, which makes you its owner.

The token is asked for, or comes from --token-file or PANDABOX_TOKEN. A box with certificates of its own CA shows the
CA's fingerprint, to be compared with what "pandabox claim" printed on the box; --ca-fingerprint and --ca-file are
for scripts. Logins are kept in ~/.config/pandabox/config.toml.`,
		Example: `  pandabox login https://203-0-113-7.sslip.io
  pandabox login 'https://203-0-113-7.sslip.io/claim/…'
  pandabox login https://box.internal --ca-fingerprint sha256:… --token-file -`,
		Args: wants(1, 1, "pandabox login https://HOST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := parseAddress(args[0])
			if err != nil {
				return err
			}
			return sh.runLogin(cmd.Context(), a, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "what to call the box (default: its host name)")
	f.StringVar(&o.tokenFile, "token-file", "", "read the token from a file; - for standard input")
	f.StringVar(&o.caFile, "ca-file", "", "trust the CA certificate in this PEM file")
	f.StringVar(&o.fingerprint, "ca-fingerprint", "", "trust the box's own CA if it has this fingerprint: sha256:…")
	cmd.MarkFlagsMutuallyExclusive("ca-file", "ca-fingerprint")
	return cmd
}

type loginOptions struct{ name, tokenFile, caFile, fingerprint string }

// boxAddress is what a person gives to login.
type boxAddress struct {
	url         string // https://host[:port]
	host        string // with the port, where it is not 443
	claim       string // secret of a claim link, "" for none
	fingerprint string // of the box's CA, "" for none
}

// parseAddress reads HOST, https://HOST or https://HOST/claim/SECRET#ca=sha256:….
func parseAddress(s string) (boxAddress, error) {
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	bad := model.Invalid("%q is not the address of a box", s).WithHint("pandabox login https://HOST, or the whole claim link in quotes")
	u, err := url.Parse(s)
	if err != nil {
		return boxAddress{}, bad.WithWhy("it is no URL")
	}
	if u.Host == "" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" {
		return boxAddress{}, bad
	}
	a := boxAddress{url: u.Scheme + "://" + u.Host, host: strings.TrimSuffix(u.Host, ":443")}
	switch path := strings.Trim(u.Path, "/"); {
	case path == "":
	case strings.HasPrefix(path, "claim/"):
		if a.claim = strings.TrimPrefix(path, "claim/"); strings.Contains(a.claim, "/") {
			return boxAddress{}, bad
		}
	default:
		return boxAddress{}, bad.WithWhy("it has a path that is no claim link")
	}
	if u.Fragment != "" {
		fp, ok := strings.CutPrefix(u.Fragment, "ca=")
		if !ok {
			return boxAddress{}, bad
		}
		a.fingerprint = fp
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	case u.Scheme == "http":
		return boxAddress{}, model.Invalid("no token is sent without encryption").WithHint("use https://%s", u.Host)
	default:
		return boxAddress{}, bad
	}
	return a, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (sh *shell) runLogin(ctx context.Context, a boxAddress, o loginOptions) error {
	saved, err := sh.logins()
	if err != nil {
		return err
	}
	in := login{URL: a.url, Org: sh.org}
	if in.CA, err = sh.trust(ctx, a, o); err != nil {
		return err
	}
	if in.Token, err = sh.token(ctx, a, o, in); err != nil {
		return err
	}
	name := o.name
	if name == "" {
		name = a.host
	}
	saved.Boxes[name], saved.Current = in, name
	if a.claim != "" { // it works once: keep what it gave before anything else can fail
		if err := saved.save(); err != nil {
			return err
		}
	}
	c, err := client.New(client.Config{Address: in.URL, Token: in.Token, CA: []byte(in.CA), Org: in.Org})
	if err != nil {
		return err
	}
	box, err := c.Info(ctx)
	if err != nil {
		return err
	}
	if err := saved.save(); err != nil {
		return err
	}
	if sh.json {
		return sh.writeJSON(map[string]any{"name": name, "url": in.URL, "version": box.Version, "owner": a.claim != ""})
	}
	if a.claim != "" {
		sh.done("you own %s now", name)
	}
	sh.done("logged in to %s (pandabox %s)", name, box.Version)
	return nil
}

// token returns the secret to log in with.
func (sh *shell) token(ctx context.Context, a boxAddress, o loginOptions, in login) (string, error) {
	switch {
	case a.claim != "":
		c, err := client.New(client.Config{Address: in.URL, CA: []byte(in.CA)})
		if err != nil {
			return "", err
		}
		t, err := c.Claim(ctx, a.claim, sh.whoami())
		return t.Secret, err
	case o.tokenFile != "":
		text, err := sh.readInput(o.tokenFile)
		if text = strings.TrimSpace(text); err == nil && text == "" {
			err = model.Invalid("%s holds no token", o.tokenFile)
		}
		return text, err
	case sh.env("PANDABOX_TOKEN") != "":
		return sh.env("PANDABOX_TOKEN"), nil
	}
	t, err := sh.askSecret("Token for "+a.host+" (made with: pandabox tokens create NAME): ", "--token-file FILE or PANDABOX_TOKEN")
	if err == nil && t == "" {
		err = model.Errorf(model.KindCanceled, "no token was given: nothing was changed")
	}
	return t, err
}

// whoami names this person and machine, for the list of tokens.
func (sh *shell) whoami() string {
	name := "owner"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil && host != "" {
		name += "@" + host
	}
	return name[:min(len(name), 100)]
}

func (sh *shell) logout() *cobra.Command {
	return &cobra.Command{
		Use: "logout [BOX]", Short: "Forget a login", Args: wants(0, 1, "pandabox logout"),
		Long: "Forget a login on this machine. The token itself stays good until it is revoked: pandabox tokens revoke.",
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := sh.logins()
			if err != nil {
				return err
			}
			name := l.Current
			if len(args) > 0 {
				name = args[0]
			}
			if _, ok := l.Boxes[name]; !ok {
				return model.NotFound("you are not logged in to %s", orThis(name)).WithHint("see your logins with pandabox boxes")
			}
			delete(l.Boxes, name)
			if l.Current == name {
				l.Current = ""
				if names := l.names(); len(names) == 1 {
					l.Current = names[0]
				}
			}
			if err := l.save(); err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(map[string]string{"loggedOut": name, "current": l.Current})
			}
			sh.done("logged out of %s", name)
			return nil
		},
		ValidArgsFunction: sh.completeBoxes,
	}
}

func orThis(name string) string {
	if name == "" {
		return "any box"
	}
	return name
}

func (sh *shell) boxes() *cobra.Command {
	list := func(*cobra.Command, []string) error {
		l, err := sh.logins()
		if err != nil {
			return err
		}
		type box struct {
			Name    string `json:"name"`
			URL     string `json:"url"`
			Org     string `json:"org"`
			Current bool   `json:"current"`
		}
		var items []box
		for _, name := range l.names() {
			in := l.Boxes[name]
			if in.Org == "" {
				in.Org = model.DefaultOrg
			}
			items = append(items, box{name, in.URL, in.Org, name == l.Current})
		}
		return list(&sh.output, items, "no login yet; begin with: pandabox login https://HOST", []string{"", "BOX", "URL", "ORG"}, func(t *table, b box) {
			mark := ""
			if b.Current {
				mark = "→"
			}
			t.add(mark, b.Name, b.URL, b.Org)
		})
	}
	cmd := &cobra.Command{Use: "boxes", Short: "The boxes you are logged in to", Args: nothing, RunE: list}
	cmd.AddCommand(&cobra.Command{
		Use: "use BOX", Short: "Choose the box that is meant where none is named", Args: wants(1, 1, "pandabox boxes use NAME"),
		ValidArgsFunction: sh.completeBoxes,
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := sh.logins()
			if err != nil {
				return err
			}
			if !slices.Contains(l.names(), args[0]) {
				_, err := sh.named(args[0])
				return err
			}
			l.Current = args[0]
			if err := l.save(); err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(map[string]string{"current": l.Current})
			}
			sh.done("%s is in use", args[0])
			return nil
		},
	})
	return cmd
}
