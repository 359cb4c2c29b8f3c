package daemon_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/daemon"
	"github.com/pandabox/pandabox/pkg/model"
)

// A program that embeds pandabox and deploys an app from an image archive.
func Example() {
	if daemon.IsChild(os.Args[1:]) { // started again by the daemon, as its child
		os.Exit(daemon.ChildMain(os.Args[1:]))
	}
	ctx, stop := context.WithCancel(context.Background())
	d, err := daemon.New(daemon.Config{DataDir: "/srv/pandabox", RunDir: "/run/shop", BaseDomain: "apps.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	select {
	case <-d.Ready():
	case err := <-ended:
		log.Fatal(err)
	}

	archive, err := os.Open("shop.tar")
	if err != nil {
		log.Fatal(err)
	}
	c, root := d.Control(), daemon.Root()
	image, err := c.Images.Import(ctx, root, model.DefaultOrg, archive)
	if err != nil {
		log.Fatal(err)
	}
	deploy, err := c.Deploys.Create(ctx, root, control.Ref{App: "shop"}, control.NewDeploy{Image: image})
	if err != nil {
		log.Fatal(err)
	}
	err = c.Events.Stream(ctx, root, model.DefaultOrg, 0, func(e model.Event) error {
		if e.DeployID == deploy.ID && model.DeployState(e.State).Final() {
			fmt.Println("shop:", e.State)
			stop()
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := <-ended; err != nil { // the app goes on running
		log.Fatal(err)
	}
}
