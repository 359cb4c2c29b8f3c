package git

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

// Bounds of the SSH door.
const (
	MaxConnections  = 100 // at once
	maxFromOne      = 10  // at once from one address
	handshakeTime   = 20 * time.Second
	idleTime        = 30 * time.Second // for the command to come, and after the last one
	maxAuthTries    = 6                // keys offered by one connection
	maxSSHCommand   = 1000             // bytes
	actorExtension  = "pandabox-key"
	sshServerPrefix = "SSH-2.0-pandabox"
)

// SSH takes pushes over SSH, from those whose keys the box knows. There is no shell, no forwarding, nothing but git.
type SSH struct {
	s      *Server
	config *ssh.ServerConfig
	host   ssh.Signer

	mu   sync.Mutex
	from map[netip.Addr]int // open connections by address, of IPv6 by network
	all  int
	wg   sync.WaitGroup
	ctx  context.Context // of NewSSH's caller: the library's callback is given none
}

// NewSSH prepares the door. The host key is read from a file, which is made where it is not there.
func (s *Server) NewSSH(ctx context.Context, hostKey string) (*SSH, error) {
	signer, err := loadHostKey(hostKey)
	if err != nil {
		return nil, err
	}
	d := &SSH{s: s, host: signer, ctx: context.WithoutCancel(ctx), from: map[netip.Addr]int{}}
	d.config = &ssh.ServerConfig{ServerVersion: sshServerPrefix, MaxAuthTries: maxAuthTries}
	d.config.AddHostKey(signer)
	return d, nil
}

// HostKey returns the public half as a line of a known_hosts file has it, without the host's name.
func (d *SSH) HostKey() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(d.host.PublicKey())))
}

// login is one connection's attempts to get in.
type login struct {
	d      *SSH
	from   string
	failed bool // a key was offered that the box does not know
}

// known lets in a key of the box's. The library asks for proof that the private half is there. Whoever failed too often is
// told so, and not looked up any more.
func (l *login) known(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	if l.d.s.cfg.Denied.Spent(l.from, "") {
		err := identity.TooMany()
		return nil, &ssh.BannerError{Err: err, Message: strings.Join(threeLines(err), "\n") + "\n"}
	}
	ctx, cancel := context.WithTimeout(l.d.ctx, handshakeTime)
	defer cancel()
	if _, err := l.d.s.cfg.Box.Key(ctx, key.Marshal()); err != nil {
		l.failed = l.failed || model.KindOf(err) == model.KindUnauthenticated
		return nil, err
	}
	return &ssh.Permissions{Extensions: map[string]string{actorExtension: string(key.Marshal())}}, nil
}

// shake returns the connection of somebody who may be there. All keys of one that does not get in count as one failed
// attempt, and none of one that does: ssh offers every key that its agent has, and often the right one last.
func (d *SSH) shake(c net.Conn) (*ssh.ServerConn, <-chan ssh.NewChannel, <-chan *ssh.Request, error) {
	l := &login{d: d, from: c.RemoteAddr().String()}
	config := *d.config
	config.PublicKeyCallback = l.known
	conn, channels, requests, err := ssh.NewServerConn(c, &config)
	if err != nil && l.failed {
		d.s.cfg.Denied.Take(l.from, "")
	}
	return conn, channels, requests, err
}

// Serve takes connections until ctx ends, and returns when the last one is over. Pushes under way are given up then.
func (d *SSH) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer d.wg.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = c.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("taking SSH connections: %w", err)
		case err != nil: // too many open files, or the other side is gone already
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		release, ok := d.admit(c)
		if !ok {
			_ = c.Close()
			continue
		}
		d.wg.Go(func() {
			defer release()
			d.connection(ctx, c)
		})
	}
}

// admit counts a connection, unless there are too many.
func (d *SSH) admit(c net.Conn) (release func(), ok bool) {
	host := identity.Household(c.RemoteAddr().String())
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all >= MaxConnections || d.from[host] >= maxFromOne {
		return nil, false
	}
	d.all++
	d.from[host]++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.all--
		if d.from[host]--; d.from[host] == 0 {
			delete(d.from, host)
		}
	}, true
}

func (d *SSH) connection(ctx context.Context, c net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	_ = c.SetDeadline(time.Now().Add(handshakeTime)) // a connection that has none is closed already
	steady := &steadyConn{Conn: c, stall: d.s.cfg.Stall}
	conn, channels, requests, err := d.shake(steady)
	if err != nil {
		_ = c.Close()
		return // scanners of the internet come by often
	}
	_ = c.SetDeadline(time.Time{})
	steady.begin()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer func() { _ = conn.Close() }()
	wg.Go(func() { ssh.DiscardRequests(requests) })
	actor, err := d.s.cfg.Box.Key(ctx, []byte(conn.Permissions.Extensions[actorExtension]))
	if err != nil {
		return
	}
	idle := time.AfterFunc(idleTime, func() { _ = c.Close() })
	defer idle.Stop()
	for ch := range channels {
		if ch.ChannelType() != "session" {
			_ = ch.Reject(ssh.Prohibited, "pandabox takes git push only")
			continue
		}
		channel, reqs, err := ch.Accept()
		if err != nil {
			return
		}
		idle.Stop()
		d.session(ctx, actor, &steadyChannel{channel, c, d.s.cfg.Stall}, reqs) // one at a time: git opens no second
		idle.Reset(idleTime)
	}
}

// session runs the one command of a session.
func (d *SSH) session(ctx context.Context, actor model.Actor, ch *steadyChannel, reqs <-chan *ssh.Request) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() { _ = ch.Close() }() // ends reqs
	late := time.AfterFunc(idleTime, ch.hangUp)
	defer late.Stop()
	for r := range reqs {
		if r.Type != "exec" && r.Type != "shell" {
			_ = r.Reply(false, nil) // no terminal, no variables, no forwarding, no subsystems
			continue
		}
		late.Stop()
		_ = r.Reply(true, nil)
		wg.Go(func() { // the requests end when the client goes away
			defer cancel()
			for r := range reqs {
				_ = r.Reply(false, nil)
			}
		})
		status := d.command(ctx, actor, r, ch)
		_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status})) // the client is gone
		return
	}
	cancel()
}

// command runs git-receive-pack or git-upload-pack and returns an exit code.
func (d *SSH) command(ctx context.Context, actor model.Actor, r *ssh.Request, ch ssh.Channel) uint32 {
	tell := func(err error) uint32 {
		for _, line := range threeLines(err) {
			_, _ = fmt.Fprintln(ch.Stderr(), plain(line)) // the client is gone
		}
		return 1
	}
	var exec struct{ Command string }
	if r.Type == "shell" || ssh.Unmarshal(r.Payload, &exec) != nil {
		return tell(model.Errorf(model.KindForbidden, "hello %s, there is no shell here", actor.Name).WithHint("git push pandabox main; a shell in an app: pandabox exec"))
	}
	service, path, ok := splitCommand(exec.Command)
	if !ok {
		return tell(model.Errorf(model.KindForbidden, "only git is served here").WithHint("git push pandabox main"))
	}
	at, err := parsePlace(path)
	if err != nil {
		return tell(err)
	}
	if err := d.s.advertise(ctx, actor, at, service, nil, ch); err != nil {
		return tell(hide(d.s, err))
	}
	if service == receivePack {
		err = d.s.receive(ctx, actor, at, ch, nil, ch)
	} else {
		err = d.s.upload(ctx, actor, at, ch, ch, false)
	}
	if err != nil {
		return tell(hide(d.s, err))
	}
	return 0
}

// hide keeps from people what is for the log.
func hide(s *Server, err error) error {
	var e *model.Error
	if errors.As(err, &e) && e.Kind != model.KindInternal {
		return err
	}
	s.log(err)
	return model.Errorf(model.KindInternal, "the box has a problem").WithHint("its log says more")
}

// splitCommand reads what git asks SSH to run: git-receive-pack '/shop.git'.
func splitCommand(command string) (service, path string, ok bool) {
	if len(command) > maxSSHCommand {
		return "", "", false
	}
	if rest, found := strings.CutPrefix(command, "git "); found { // git receive-pack, as some clients write it
		command = "git-" + rest
	}
	service, path, ok = strings.Cut(command, " ")
	path = strings.Trim(strings.TrimSpace(path), `'"`)
	return service, path, ok && path != "" && (service == receivePack || service == uploadPack)
}

// steadyChannel is a channel whose other end must send something while it is waited for.
type steadyChannel struct {
	ssh.Channel
	conn  net.Conn
	stall time.Duration
}

// hangUp ends the connection: a channel ends only when the other end agrees.
func (c *steadyChannel) hangUp() { _ = c.conn.Close() }

func (c *steadyChannel) Read(b []byte) (int, error) {
	late := time.AfterFunc(c.stall, c.hangUp)
	defer late.Stop()
	return c.Channel.Read(b)
}

// steadyConn is a connection whose other end must take what is written. What it sends is waited for where it is read.
type steadyConn struct {
	net.Conn
	stall time.Duration

	mu    sync.Mutex
	begun bool // the handshake, which has a deadline of its own, is over
}

func (c *steadyConn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
}

func (c *steadyConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	begun := c.begun
	c.mu.Unlock()
	if begun {
		_ = c.SetWriteDeadline(time.Now().Add(c.stall))
	}
	return c.Conn.Write(b)
}

// loadHostKey reads the box's own key, or makes one.
func loadHostKey(file string) (ssh.Signer, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = makeHostKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the SSH host key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(b)
	if err != nil {
		return nil, model.Invalid("the SSH host key %s cannot be read", file).Wrap(err).WithWhy("%s", err).WithHint("restore it, or remove it: another is made then, which everybody's ssh will warn of")
	}
	return signer, nil
}

func makeHostKey(file string) ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "pandabox")
	if err != nil {
		return nil, err
	}
	b := pem.EncodeToMemory(block)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	return b, writeWhole(file, b) // which makes it readable by its owner only
}
