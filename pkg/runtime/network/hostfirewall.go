package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// Docker and ufw set the policy of the host's own FORWARD (and ufw of its INPUT) chain to DROP. A drop anywhere is
// final, so accept rules in our tables cannot help: the host's chains need one each. Ours let pass what comes from or
// goes to our bridges, and no more; what of it is allowed, our own tables decide. With Docker they stand behind its own
// rules, not in DOCKER-USER before them: those keep others, our apps too, from its containers.
//
// The iptables command is used, and not nftables, because it alone knows which of its two back ends holds the host's
// rules. A host without it has no such rules.

// hostRule is one accept rule: where, and its match.
type hostRule struct {
	chain string
	last  bool // at the chain's end, else at its beginning
	match []string
}

// openHostFirewall adds the accept rules the host's firewall needs. It is best effort: what cannot be added is logged.
func (m *Manager) openHostFirewall(ctx context.Context) {
	for _, r := range m.hostRules(ctx) {
		args := m.hostArgs(r)
		if _, err := iptables(ctx, append([]string{"-C", r.chain}, args...)...); err == nil {
			continue
		}
		how := "-I"
		if r.last {
			how = "-A"
		}
		if _, err := iptables(ctx, append([]string{how, r.chain}, args...)...); err != nil {
			m.log.Warn().Err(err).Str("chain", r.chain).Msg("the host's firewall may drop the apps' packets")
			continue
		}
		m.log.Info().Str("chain", r.chain).Strs("rule", args).Msg("opened the host's firewall for the apps' bridges")
	}
}

// hostRules returns the rules needed now: none where no policy drops.
func (m *Manager) hostRules(ctx context.Context) []hostRule {
	out, err := iptables(ctx, "-S")
	if err != nil {
		return nil // no iptables, or nothing it could say
	}
	return neededHostRules(out, "pbx"+m.cfg.ID+"+")
}

// neededHostRules reads the output of iptables -S. bridges is a pattern of interface names.
func neededHostRules(listing, bridges string) []hostRule {
	has := map[string]bool{}
	for line := range strings.Lines(listing) {
		has[strings.TrimSpace(line)] = true
	}
	var out []hostRule
	if has["-P FORWARD DROP"] {
		docker := has["-N DOCKER-USER"]
		out = append(out, hostRule{"FORWARD", docker, []string{"-i", bridges}}, hostRule{"FORWARD", docker, []string{"-o", bridges}})
	}
	if has["-P INPUT DROP"] {
		out = append(out, hostRule{"INPUT", false, []string{"-i", bridges}})
	}
	return out
}

func (m *Manager) hostArgs(r hostRule) []string {
	return append(append([]string(nil), r.match...), "-m", "comment", "--comment", "pandabox_"+m.cfg.ID, "-j", "ACCEPT")
}

// closeHostFirewall removes the accept rules wherever they are, also when they are no longer needed.
func (m *Manager) closeHostFirewall(ctx context.Context) error {
	listing, err := iptables(ctx, "-S")
	if err != nil {
		return nil // no iptables, no rules
	}
	var errs []error
	for line := range strings.Lines(listing) {
		f := strings.Fields(line)
		if len(f) > 2 && f[0] == "-A" && strings.Contains(line, "pandabox_"+m.cfg.ID) {
			f[0] = "-D"
			for i := range f {
				f[i] = strings.Trim(f[i], `"`)
			}
			if _, err := iptables(ctx, f...); err != nil {
				errs = append(errs, fmt.Errorf("removing a rule of the host's firewall: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}

func iptables(ctx context.Context, args ...string) (string, error) {
	path, err := exec.LookPath("iptables")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"-w", "5"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("iptables %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// enableForwarding lets the host pass packets between its interfaces, without which no app reaches the internet.
func enableForwarding(log zerolog.Logger) error {
	const name = "net/ipv4/ip_forward"
	on, err := sysctlIs(name, "1")
	if err != nil || on {
		return err
	}
	if err := sysctl(name, "1"); err != nil {
		return fmt.Errorf("enabling IPv4 forwarding: %w", err)
	}
	log.Info().Msg("enabled IPv4 forwarding (net.ipv4.ip_forward=1)")
	return nil
}
