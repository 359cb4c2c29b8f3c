package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/pandabox/pandabox/pkg/model"
)

// Bounds of the engine's life.
const (
	engineStart    = 30 * time.Second // from fork to the first answer; a database check after a crash takes a while
	engineStop     = 15 * time.Second // from SIGTERM to SIGKILL
	engineLogMax   = 8 << 20          // bytes of containerd's own log, kept twice
	engineSilences = 3                // unanswered checks before a hanging containerd is killed
	restartBase    = 50 * time.Millisecond
	restartMax     = 3 * time.Second
	restartSettled = 20 * time.Second // a life this long makes the next back-off short again
)

// engine is the supervised containerd.
type engine struct {
	cfg    Config
	log    zerolog.Logger
	client *containerd.Client
	down   func() // called when containerd ended, and again when it is back

	mu sync.Mutex
	up chan struct{} // closed while containerd answers

	cancel context.CancelFunc
	done   chan struct{} // closed when the supervisor has ended
}

// process is one life of containerd, our child or one adopted.
type process struct {
	pid   int
	child *exec.Cmd // nil when adopted
	fd    int       // pidfd
}

// startEngine adopts the containerd that still runs, or starts one, and supervises it until stop.
func startEngine(ctx context.Context, cfg Config, changed func()) (*engine, error) {
	client, err := dial(cfg.socket())
	if err != nil {
		return nil, err
	}
	e := &engine{cfg: cfg, log: cfg.Logger.With().Str("component", "runtime").Logger(), client: client, down: changed,
		up: make(chan struct{}), done: make(chan struct{})}
	p, err := e.adoptOrStart(ctx)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	close(e.up)
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.cancel = cancel
	go e.supervise(life, p)
	return e, nil
}

func dial(socket string) (*containerd.Client, error) {
	c, err := containerd.New(socket, containerd.WithDefaultNamespace(namespace), containerd.WithExtraDialOpts([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, Jitter: 0.1, MaxDelay: 250 * time.Millisecond},
			MinConnectTimeout: 2 * time.Second,
		}),
		// A call made just after containerd ended waits for the next one instead of failing.
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)),
	}))
	if err != nil {
		return nil, fmt.Errorf("connecting to containerd: %w", err)
	}
	return c, nil
}

// ready waits until containerd answers.
func (e *engine) ready(ctx context.Context) error {
	e.mu.Lock()
	up := e.up
	e.mu.Unlock()
	stopped := model.Errorf(model.KindUnavailable, "the container runtime is stopped")
	select {
	case <-e.done:
		return stopped
	default:
	}
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-e.done:
		return stopped
	case <-time.After(engineStart):
		return model.Errorf(model.KindUnavailable, "containerd does not answer").WithHint("see %s", e.cfg.engineLog())
	}
}

// stop ends containerd and the supervisor. Shims and containers live on.
func (e *engine) stop() error {
	e.cancel()
	<-e.done
	return e.client.Close()
}

// supervise restarts containerd whenever it ends, with a growing pause, until ctx ends; then it stops containerd.
func (e *engine) supervise(ctx context.Context, p *process) {
	defer close(e.done)
	pause := restartBase
	for {
		began := time.Now()
		err := e.watch(ctx, p)
		if ctx.Err() != nil {
			e.end(ctx, p)
			return
		}
		e.log.Error().Err(err).Int("pid", p.pid).Msg("containerd ended; starting it again, containers go on")
		p.release()
		e.mu.Lock()
		e.up = make(chan struct{})
		e.mu.Unlock()
		e.down()
		if time.Since(began) > restartSettled {
			pause = restartBase
		}
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, restartMax)
			if p, err = e.adoptOrStart(ctx); err == nil {
				break
			}
			e.log.Error().Err(err).Dur("again_in", pause).Msg("starting containerd")
		}
		e.mu.Lock()
		close(e.up)
		e.mu.Unlock()
		e.down()
	}
}

// watch returns when p has ended or ctx has. Meanwhile it keeps containerd's log within bounds, and kills it when it
// hangs.
func (e *engine) watch(ctx context.Context, p *process) error {
	ended := make(chan error, 1)
	waiting, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { ended <- p.wait(waiting) })
	tick := time.NewTicker(e.cfg.CheckEvery)
	defer tick.Stop()
	silences := 0
	for {
		select {
		case err := <-ended:
			return err // nil when ctx ended
		case <-tick.C:
			if err := boundLog(e.cfg.engineLog(), engineLogMax); err != nil {
				e.log.Warn().Err(err).Msg("bounding containerd's log")
			}
			if silences = e.check(ctx, silences); silences >= engineSilences {
				e.log.Error().Int("pid", p.pid).Msg("containerd does not answer; killing it")
				_ = p.signal(syscall.SIGKILL)
				silences = 0
			}
		}
	}
}

// check asks containerd whether it lives, and counts on how often it did not answer.
func (e *engine) check(ctx context.Context, silences int) int {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.CheckEvery)
	defer cancel()
	if serving, err := e.client.IsServing(ctx); err == nil && serving {
		return 0
	}
	return silences + 1
}

// end stops p, gently first.
func (e *engine) end(ctx context.Context, p *process) {
	defer p.release()
	_ = p.signal(syscall.SIGTERM)
	ctx = context.WithoutCancel(ctx)
	patience, cancel := context.WithTimeout(ctx, engineStop)
	defer cancel()
	if p.wait(patience) == nil {
		e.log.Warn().Int("pid", p.pid).Msg("containerd does not stop; killing it")
		_ = p.signal(syscall.SIGKILL)
		_ = p.wait(ctx)
	}
}

// adoptOrStart returns a containerd that answers: the one that runs already, if it is the same program with the same
// configuration, else a new one.
func (e *engine) adoptOrStart(ctx context.Context) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, engineStart)
	defer cancel()
	conf, err := childConfig(e.cfg)
	if err != nil {
		return nil, err
	}
	old, _ := os.ReadFile(e.cfg.engineConf())
	same := bytes.Equal(old, conf)
	p, err := e.running(ctx)
	if err != nil {
		return nil, err
	}
	if p != nil {
		if same && p.runs(e.cfg.ChildCommand[0]) && e.answers(ctx) == nil {
			e.log.Info().Int("pid", p.pid).Msg("adopted the running containerd")
			return p, nil
		}
		e.log.Info().Int("pid", p.pid).Msg("replacing the running containerd")
		e.end(ctx, p)
	}
	if !same {
		if err := replaceFile(e.cfg.engineConf(), conf, 0o600); err != nil {
			return nil, err
		}
	}
	return e.start(ctx)
}

// running returns the containerd that holds the pid file, nil when none does.
func (e *engine) running(ctx context.Context) (*process, error) {
	for {
		pid, err := lockHolder(e.cfg.enginePid())
		if err != nil || pid == 0 {
			return nil, err
		}
		if pid > 0 {
			p, err := openProcess(pid)
			if err == nil {
				return p, nil
			}
			if !errors.Is(err, unix.ESRCH) {
				return nil, fmt.Errorf("watching containerd: %w", err)
			}
		}
		if err := pauseFor(ctx, 5*time.Millisecond); err != nil { // it is about to write its number, or just ended
			return nil, fmt.Errorf("looking for a running containerd: %w", err)
		}
	}
}

func (e *engine) start(ctx context.Context) (*process, error) {
	if err := boundLog(e.cfg.engineLog(), engineLogMax); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(e.cfg.engineLog(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening containerd's log: %w", err)
	}
	defer func() { _ = out.Close() }()
	argv := append(append([]string{}, e.cfg.ChildCommand...), e.cfg.engineConf(), e.cfg.enginePid())
	cmd := exec.Command(argv[0], argv[1:]...) // lives longer than ctx, and than this process
	cmd.Env = childEnv()
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting containerd: %w", err)
	}
	fd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watching containerd: %w", err), cmd.Process.Kill(), cmd.Wait())
	}
	p := &process{pid: cmd.Process.Pid, child: cmd, fd: fd}
	if err := e.answersOrEnds(ctx, p); err != nil {
		e.end(ctx, p)
		return nil, model.Errorf(model.KindUnavailable, "containerd does not start").
			WithHint("see %s", e.cfg.engineLog()).Wrap(err)
	}
	return p, nil
}

// answersOrEnds returns nil when containerd answers, and an error when p ends or ctx does.
func (e *engine) answersOrEnds(ctx context.Context, p *process) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() {
		if err := p.wait(ctx); err != nil {
			cancel(err)
		}
	})
	if err := e.answers(ctx); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}

func (e *engine) answers(ctx context.Context) error {
	for {
		serving, err := e.client.IsServing(ctx)
		if err == nil && serving {
			return nil
		}
		if perr := pauseFor(ctx, 5*time.Millisecond); perr != nil {
			return errors.Join(perr, err)
		}
	}
}

// childEnv is what containerd and the shims need of the environment. NOTIFY_SOCKET and the like are not for them.
func childEnv() []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, name := range []string{"LANG", "TMPDIR", "TZ"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func pauseFor(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
