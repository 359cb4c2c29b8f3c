package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) buildBase() *cobra.Command {
	cmd := &cobra.Command{
		Use: "base", Short: "Images that builds begin with and that need no registry", Args: nothing,
		Long: `Images that a build finds on the box under the name behind FROM, before any registry is asked. With them a box without
internet builds. They belong to the whole box and stay until they are removed.`,
		Example: `  docker save golang:1.26 node:22 | pandabox build base add -
  pandabox build base
  pandabox build base rm node:22`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			all, err := c.BaseImages(cmd.Context())
			if err != nil {
				return err
			}
			now := time.Now()
			return list(&sh.output, all, "no base image; builds fetch theirs from registries", []string{"NAME", "DIGEST", "SIZE", "ADDED"}, func(t *table, b model.BaseImage) {
				t.add(b.Name, shortDigest(b.Digest), size(b.Size), ago(now, b.AddedAt))
			})
		},
	}
	var name string
	add := &cobra.Command{
		Use: "add FILE", Short: "Add the images of an archive (OCI layout or docker save; - is standard input)", Args: wants(1, 1, "pandabox build base add ./golang.tar"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			file := args[0]
			if file != "-" {
				file = sh.path(file)
			}
			r, _, err := sh.openArchive(file)
			if err != nil {
				return err
			}
			defer func() { _ = r.Close() }()
			p := sh.progress()
			defer p.Close()
			began, sent := time.Now(), int64(0)
			p.step("upload", "", began)
			all, err := c.AddBaseImages(cmd.Context(), name, r, func(n int64) {
				sent = n
				p.step("upload", size(n), began)
			})
			p.end(err == nil, "upload", size(sent), time.Since(began))
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(all)
			}
			p.Close()
			for _, b := range all {
				sh.done("%s, %s; FROM finds it here from now on", b.Name, size(b.Size))
			}
			return nil
		},
	}
	add.Flags().StringVar(&name, "name", "", "what the archive's one image is called: golang:1.26 (default: as the archive says)")
	rm := &cobra.Command{
		Use: "rm NAME", Short: "Forget a base image; what was built of it stays", Aliases: []string{"remove"}, Args: wants(1, 1, "pandabox build base rm golang:1.26"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			if err := c.RemoveBaseImage(cmd.Context(), args[0]); err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(map[string]string{"name": args[0]})
			}
			sh.done("%s is forgotten", args[0])
			return nil
		},
	}
	cmd.AddCommand(add, rm)
	return cmd
}
