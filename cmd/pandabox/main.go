// Command pandabox is a Platform-as-a-Service for one Linux box: the daemon, its containerd child and the command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/pandabox/pandabox/internal/cli"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	code := cli.Main(ctx, version, os.Args[1:])
	stop()
	os.Exit(code)
}
