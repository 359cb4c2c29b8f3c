package cli

import (
	"net/url"
	"os"
	"strings"

	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
)

// connect returns a client of the box that is meant: --box or PANDABOX_BOX, else the box's own socket where PANDABOX_SOCKET
// names it or root is on the box, else the login in use.
func (sh *shell) connect() (*client.Client, error) {
	config, err := sh.address()
	if err != nil {
		return nil, err
	}
	config.UserAgent = "pandabox/" + sh.version
	for _, org := range []string{sh.env("PANDABOX_ORG"), sh.org} {
		if org != "" {
			config.Org = org
		}
	}
	return client.New(config)
}

func (sh *shell) address() (client.Config, error) {
	box := sh.box
	if box == "" {
		box = sh.env("PANDABOX_BOX")
	}
	if box != "" {
		return sh.named(box)
	}
	if socket := sh.socket(); socket != "" {
		return client.Config{Address: socket}, nil
	}
	l, err := sh.logins()
	if err != nil {
		return client.Config{}, err
	}
	in, ok := l.Boxes[l.Current]
	switch {
	case ok:
		return sh.withToken(client.Config{Address: in.URL, Token: in.Token, Org: in.Org, CA: []byte(in.CA)})
	case len(l.Boxes) > 0:
		return client.Config{}, model.Invalid("which box?").WithWhy("you are logged in to %s", strings.Join(l.names(), ", ")).WithHint("add --box %s, or set PANDABOX_BOX", l.names()[0])
	case os.Getuid() == 0:
		return client.Config{}, model.Errorf(model.KindUnavailable, "no box here, and no login").
			WithWhy("the daemon's socket %s is not there", sh.socketFile()).
			WithHint("start the daemon with pandabox start, or log in to another box: pandabox login https://HOST")
	}
	return client.Config{}, model.Errorf(model.KindUnauthenticated, "you are not logged in to a box").WithHint("pandabox login https://HOST; on the box itself use sudo")
}

// named finds a box by the name of a login, or takes an address as it is.
func (sh *shell) named(box string) (client.Config, error) {
	if strings.HasPrefix(box, "unix://") {
		return client.Config{Address: box}, nil
	}
	l, err := sh.logins()
	if err != nil && sh.env("PANDABOX_TOKEN") == "" {
		return client.Config{}, err
	}
	if err == nil {
		for name, in := range l.Boxes {
			if name == box || in.URL == strings.TrimRight(box, "/") {
				return sh.withToken(client.Config{Address: in.URL, Token: in.Token, Org: in.Org, CA: []byte(in.CA)})
			}
		}
	}
	if u, err := url.Parse(box); err == nil && u.Host != "" {
		if sh.env("PANDABOX_TOKEN") == "" {
			return client.Config{}, model.Errorf(model.KindUnauthenticated, "you are not logged in to %s", u.Host).WithHint("pandabox login %s, or set PANDABOX_TOKEN", box)
		}
		return sh.withToken(client.Config{Address: strings.TrimRight(box, "/")})
	}
	e := model.NotFound("there is no login named %q", box)
	if l != nil {
		if near := manifest.Nearest(box, l.names()); near != "" {
			return client.Config{}, e.WithHint("did you mean %s?", near)
		}
	}
	return client.Config{}, e.WithHint("see your logins with pandabox boxes, or log in: pandabox login https://HOST")
}

// withToken lays PANDABOX_TOKEN and PANDABOX_CA_FILE over a configuration, as CI does.
func (sh *shell) withToken(c client.Config) (client.Config, error) {
	if t := sh.env("PANDABOX_TOKEN"); t != "" {
		c.Token = t
	}
	if file := sh.env("PANDABOX_CA_FILE"); file != "" {
		b, err := os.ReadFile(sh.path(file))
		if err != nil {
			return c, model.Invalid("PANDABOX_CA_FILE cannot be read").Wrap(err)
		}
		c.CA = b
	}
	return c, nil
}

// socketFile returns the path of the box's own socket, whether it is there or not.
func (sh *shell) socketFile() string {
	address := sh.env("PANDABOX_SOCKET")
	if address == "" {
		address = client.DefaultSocket
	}
	return strings.TrimPrefix(address, "unix://")
}

// socket returns the address of the box's own socket, "" where it is not there or not for this user.
func (sh *shell) socket() string {
	if sh.env("PANDABOX_SOCKET") == "" && os.Getuid() != 0 {
		return ""
	}
	file := sh.socketFile()
	if st, err := os.Stat(file); err != nil || st.Mode()&os.ModeSocket == 0 {
		return ""
	}
	return "unix://" + file
}
