package cli

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/client"
)

func (sh *shell) claim() *cobra.Command {
	return &cobra.Command{
		Use: "claim", Short: "Print a new one-time link that makes its first user the owner (root on the box)", Args: nothing,
		Long: "Print a new one-time link that makes its first user the owner, in place of the one before. Only root on the box\nmay. Where the box uses certificates of its own CA, the link carries the CA's fingerprint for pandabox login.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			l, err := c.NewClaim(cmd.Context())
			if err != nil {
				return err
			}
			l.URL += pinOf(cmd.Context(), c, l.URL)
			if sh.json {
				return sh.writeJSON(l)
			}
			sh.say("Own this box (works once, for %s; an older link does not work any more):", span(time.Until(l.ExpiresAt).Round(time.Minute)))
			return sh.line("%s", l.URL)
		},
	}
}

// pinOf returns what a link needs for its reader to trust the box: the fingerprint of the box's CA, "" where the box has
// none or the system's roots vouch for it. A link without it works too, but asks more of its reader: no error here is
// worth losing the link.
func pinOf(ctx context.Context, c *client.Client, link string) string {
	text, err := c.CA(ctx)
	if err != nil {
		return ""
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return ""
	}
	address, _, _ := strings.Cut(link, "/claim/")
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if known, err := knownCA(ctx, address); err == nil && known {
		return ""
	}
	return "#ca=" + fingerprint(ca)
}
