package cli

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) domains() *cobra.Command {
	cmd := sh.aboutApp(&cobra.Command{Use: "domains", Short: "The host names that lead to an app", Args: nothing, RunE: sh.listDomains})
	list := sh.aboutApp(&cobra.Command{Use: "list", Short: "List domains", Aliases: []string{"ls"}, Args: nothing, RunE: sh.listDomains})
	cmd.AddCommand(list, sh.domainsAdd(), sh.domainsRemove(), sh.domainsCert())
	return cmd
}

func (sh *shell) listDomains(cmd *cobra.Command, _ []string) error {
	c, ref, err := sh.at()
	if err != nil {
		return err
	}
	items, err := c.Domains(cmd.Context(), ref)
	if err != nil {
		return err
	}
	now := time.Now()
	return list(&sh.output, items, "no domain yet; add one: "+hint("domains add HOST", ref), []string{"DOMAIN", "TLS", "CERTIFICATE"}, func(t *table, d api.Domain) {
		t.add(d.Host, string(d.TLS), certificateText(now, d))
		if d.Certificate != nil && d.Certificate.Problem != "" {
			t.paint(2, sh.outStyle().bad)
		}
	})
}

func certificateText(now time.Time, d api.Domain) string {
	c := d.Certificate
	switch {
	case d.TLS == model.TLSOff:
		return "none: plain HTTP"
	case c == nil:
		return "-"
	case c.Problem != "":
		return c.Problem
	case c.NotAfter.IsZero():
		return "on its way"
	case c.NotAfter.Before(now):
		return "ran out " + ago(now, c.NotAfter)
	}
	return c.Issuer + ", for " + span(c.NotAfter.Sub(now))
}

func (sh *shell) domainsAdd() *cobra.Command {
	var tls string
	cmd := &cobra.Command{
		Use: "add HOST", Short: "Lead a host name to the app", Args: wants(1, 1, "pandabox domains add shop.example.com"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			host, err := model.CheckHost(args[0])
			if err != nil {
				return err
			}
			d, err := c.AddDomain(cmd.Context(), ref, api.NewDomain{Host: host, TLS: model.TLSMode(tls)})
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(d)
			}
			sh.done("%s leads to %s in %s", d.Host, ref.App, ref.Env)
			return nil
		},
	}
	cmd.Flags().StringVar(&tls, "tls", "", "where its certificate comes from: auto, internal or off (default: auto)")
	complete(cmd, "tls", fixed("auto", "internal", "off"))
	return sh.aboutApp(cmd)
}

func (sh *shell) domainsRemove() *cobra.Command {
	return sh.aboutApp(&cobra.Command{
		Use: "remove HOST", Short: "Stop leading a host name to the app", Aliases: []string{"rm"}, Args: wants(1, 1, "pandabox domains remove shop.example.com"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			if err := c.RemoveDomain(cmd.Context(), ref, args[0]); err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(map[string]string{"removed": args[0]})
			}
			sh.done("%s leads nowhere now; to undo: %s", args[0], hint("domains add "+args[0], ref))
			return nil
		},
	})
}

func (sh *shell) domainsCert() *cobra.Command {
	var cert, key string
	cmd := &cobra.Command{
		Use: "cert HOST --cert FILE --key FILE", Short: "Give a domain a certificate of your own", Args: wants(1, 1, "pandabox domains cert shop.example.com --cert cert.pem --key key.pem"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cert == "" || key == "" {
				return model.Invalid("a certificate and its key are needed").WithHint("pandabox domains cert %s --cert cert.pem --key key.pem", args[0])
			}
			certPEM, err := os.ReadFile(sh.path(cert))
			if err != nil {
				return model.Invalid("the certificate cannot be read").Wrap(err)
			}
			keyPEM, err := os.ReadFile(sh.path(key))
			if err != nil {
				return model.Invalid("the key cannot be read").Wrap(err)
			}
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			d, err := c.SetCertificate(cmd.Context(), ref, args[0], api.Certificate{Certificate: string(certPEM), Key: string(keyPEM)})
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(d)
			}
			sh.done("%s has the certificate", d.Host)
			return nil
		},
	}
	cmd.Flags().StringVar(&cert, "cert", "", "PEM file, leaf first")
	cmd.Flags().StringVar(&key, "key", "", "PEM file")
	return sh.aboutApp(cmd)
}
