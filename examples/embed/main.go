// Command embed runs pandabox inside a Go program and deploys an image archive with it:
//
//	embed DIRECTORY BASE_DOMAIN HTTPS_ADDR image.tar
//
// It prints how the deploy went and where the app answers, and serves until it is interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/daemon"
	"github.com/pandabox/pandabox/pkg/model"
)

func main() {
	if daemon.IsChild(os.Args[1:]) { // started again by the daemon, as its child
		os.Exit(daemon.ChildMain(os.Args[1:]))
	}
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return errors.New("usage: embed DIRECTORY BASE_DOMAIN HTTPS_ADDR image.tar")
	}
	d, err := daemon.New(daemon.Config{
		DataDir: filepath.Join(args[0], "data"), RunDir: filepath.Join(args[0], "run"), LogFile: filepath.Join(args[0], "daemon.log"),
		BaseDomain: args[1], HTTPAddr: "127.0.0.1:0", HTTPSAddr: args[2], Offline: true,
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	select {
	case <-d.Ready():
	case err := <-ended:
		return err
	}
	if err := deploy(ctx, d.Control(), args[3]); err != nil {
		return err
	}
	return <-ended // the apps go on running
}

// deploy deploys an archive as the app "shop" and waits for the outcome.
func deploy(ctx context.Context, c *control.Control, file string) error {
	archive, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	root := daemon.Root()
	image, err := c.Images.Import(ctx, root, model.DefaultOrg, archive)
	if err != nil {
		return err
	}
	begun, err := c.Deploys.Create(ctx, root, control.Ref{App: "shop"}, control.NewDeploy{Image: image})
	if err != nil {
		return err
	}
	done := errors.New("done")
	err = c.Events.Stream(ctx, root, model.DefaultOrg, 0, func(e model.Event) error {
		if e.DeployID == begun.ID && model.DeployState(e.State).Final() {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		return err
	}
	d, err := c.Deploys.Get(ctx, root, control.Ref{App: "shop"}, begun.ID)
	if err != nil {
		return err
	}
	fmt.Printf("shop %s: %s\n", d.State, d.URL)
	return nil
}
