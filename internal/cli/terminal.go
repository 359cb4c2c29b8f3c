package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"

	"github.com/pandabox/pandabox/pkg/model"
)

// onTerminal runs a command with this terminal in raw mode, so that every key, Ctrl-C too, goes to the command, and
// tells it of each change of the terminal's size. The terminal is put back whatever happens.
func onTerminal(ctx context.Context, in, out *os.File, spec model.ExecSpec, start func(context.Context, model.ExecSpec) (int, error)) (int, error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return 0, model.Errorf(model.KindInternal, "the terminal cannot be set up").Wrap(err).WithHint("run it without one: -T")
	}
	defer func() { _ = term.Restore(int(in.Fd()), before) }()

	ctx, cancel := context.WithCancel(ctx)
	resize := make(chan model.TermSize, 1)
	var watching sync.WaitGroup
	watching.Go(func() { watchSize(ctx, out, resize) })
	defer watching.Wait()
	defer cancel()
	spec.TTY, spec.Stderr, spec.Resize = true, nil, resize
	return start(ctx, spec)
}

// watchSize sends the terminal's size at once and at each change, until ctx ends.
func watchSize(ctx context.Context, out *os.File, to chan<- model.TermSize) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	defer signal.Stop(changed)
	for {
		if w, h, err := term.GetSize(int(out.Fd())); err == nil && w > 0 && h > 0 {
			select {
			case to <- model.TermSize{Cols: uint16(min(w, 1<<16-1)), Rows: uint16(min(h, 1<<16-1))}:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
