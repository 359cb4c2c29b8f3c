package git

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"github.com/pandabox/pandabox/pkg/model"
)

// command is one line of a push: a ref goes from one object to another. The zero hash is no object.
type command struct {
	old, new plumbing.Hash
	ref      string
}

func (c command) deletes() bool { return c.new.IsZero() }

func (c command) branch() (string, bool) { return strings.CutPrefix(c.ref, branches) }

// commands is what a client asks for before it sends its pack.
type commands struct {
	list    []command
	shallow []plumbing.Hash // commits whose parents the client does not have
	caps    []string
}

func (c commands) can(capability string) bool { return slices.Contains(c.caps, capability) }

// packed tells whether a pack follows.
func (c commands) packed() bool {
	return slices.ContainsFunc(c.list, func(one command) bool { return !one.deletes() })
}

// readCommands reads up to the flush that ends the commands. None at all is no error: HTTP clients ask that way whether
// they are let in.
func readCommands(r io.Reader) (out commands, err error) {
	lines := pktline.NewScanner(r)
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) == 0 {
			return out, nil
		}
		if err := out.add(strings.TrimSuffix(string(line), "\n")); err != nil {
			return out, err
		}
	}
	if err := lines.Err(); err != nil {
		return out, malformed("%s", err).Wrap(err)
	}
	return out, malformed("it ends early").Wrap(io.ErrUnexpectedEOF)
}

func (c *commands) add(line string) error {
	if hash, ok := strings.CutPrefix(line, "shallow "); ok {
		h, err := parseHash(hash)
		if err != nil {
			return err
		}
		if c.shallow = append(c.shallow, h); len(c.shallow) > MaxShallow {
			return model.Errorf(model.KindTooLarge, "the clone has more than %d commits without parents", MaxShallow).WithHint("fetch all of it: git fetch --unshallow")
		}
		return nil
	}
	if len(c.list) == 0 {
		text, caps, _ := strings.Cut(line, "\x00")
		line, c.caps = text, strings.Fields(caps)
	}
	parts := strings.SplitN(line, " ", 3)
	if len(parts) != 3 {
		return malformed("%q is no command", line)
	}
	from, err := parseHash(parts[0])
	if err != nil {
		return err
	}
	to, err := parseHash(parts[1])
	if err != nil {
		return err
	}
	if slices.ContainsFunc(c.list, func(one command) bool { return one.ref == parts[2] }) {
		return malformed("%q is named twice", parts[2])
	}
	if c.list = append(c.list, command{from, to, parts[2]}); len(c.list) > MaxCommands {
		return model.Errorf(model.KindTooLarge, "more than %d branches and tags are pushed at once", MaxCommands).WithHint("push one branch: git push pandabox main")
	}
	return nil
}

// checkRef refuses what is no branch and no tag, or is called as git would not call one.
func checkRef(ref string) error {
	name, ok := strings.CutPrefix(ref, branches)
	if !ok {
		name, ok = strings.CutPrefix(ref, tags)
	}
	if !ok {
		return errors.New("only branches and tags are kept")
	}
	if len(ref) > maxRefName || plumbing.ReferenceName(ref).Validate() != nil || strings.HasPrefix(name, "-") {
		return errors.New("that is no name for a branch or tag")
	}
	return nil
}

func parseHash(s string) (plumbing.Hash, error) {
	if len(s) != 40 || strings.Trim(s, "0123456789abcdef") != "" {
		return plumbing.ZeroHash, malformed("%q is no object", s)
	}
	return plumbing.NewHash(s), nil
}

func malformed(why string, args ...any) *model.Error {
	return model.Invalid("the push cannot be read").WithWhy(why, args...).WithHint("is this git? pandabox takes git push over HTTPS and SSH")
}
