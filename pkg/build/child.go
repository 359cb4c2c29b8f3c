//go:build linux

package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	ctd "github.com/containerd/containerd/v2/client"
	"github.com/moby/buildkit/cache/remotecache"
	"github.com/moby/buildkit/client"
	bkconfig "github.com/moby/buildkit/cmd/buildkitd/config"
	"github.com/moby/buildkit/control"
	"github.com/moby/buildkit/executor/containerdexecutor"
	"github.com/moby/buildkit/executor/oci"
	"github.com/moby/buildkit/frontend"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/moby/buildkit/frontend/gateway/forwarder"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/bboltcachestorage"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/db/boltutil"
	"github.com/moby/buildkit/util/grpcerrors"
	"github.com/moby/buildkit/util/network"
	"github.com/moby/buildkit/util/network/netproviders"
	"github.com/moby/buildkit/util/resolver"
	resolverconfig "github.com/moby/buildkit/util/resolver/config"
	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
	"github.com/moby/buildkit/worker/containerd"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// childConfig is what the builder tells its child.
type childConfig struct {
	Root       string // of BuildKit's state
	Socket     string // where it listens
	Network    string // where build containers get their network
	Containerd string // socket
	Namespace  string
	Shim, Runc string // absolute paths
	RuncRoot   string
	Cgroup     string // of build containers
	Disk       string // "MAJOR:MINOR"
	DiskRate   int64  // bytes a second; 0: no bound
	DNS        []string
	CacheMax   int64 // bytes of build cache
	FreeMin    int64 // bytes that stay free on the disk
	Parallel   int   // steps at once
	Mirrors    map[string][]string
}

// ChildMain is BuildKit: what the binary does when the builder starts it again as its child. args holds the path of its
// configuration. It returns an exit code when it was told to end.
func ChildMain(args []string) int {
	if len(args) != 1 {
		_, _ = fmt.Fprintln(os.Stderr, "usage: pandabox buildkitd CONFIG (started by pandabox itself)")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt) //nolint:forbidigo // this is a main function, of the child
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	go func() { // ends with the process
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel() // the parent has ended
	}()
	if err := runChild(ctx, args[0]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "buildkitd:", err)
		return 1
	}
	return 0
}

func runChild(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var c childConfig
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	if err := unmount(c.Root); err != nil { // of a BuildKit that was killed, which the daemon may not see
		return err
	}
	_ = os.Remove(c.Socket)
	listener, err := net.Listen("unix", c.Socket)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	confineFetches()
	controller, err := newController(ctx, c)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(grpcerrors.UnaryServerInterceptor), grpc.StreamInterceptor(grpcerrors.StreamServerInterceptor))
	controller.Register(server)
	healthv1.RegisterHealthServer(server, health.NewServer())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		server.Stop()
	}()
	err = server.Serve(listener)
	<-ended
	return errors.Join(err, controller.Close())
}

func newController(ctx context.Context, c childConfig) (*control.Controller, error) {
	sessions, err := session.NewManager()
	if err != nil {
		return nil, fmt.Errorf("making the session manager: %w", err)
	}
	workers, err := newWorkers(ctx, c)
	if err != nil {
		return nil, err
	}
	w, err := workers.GetDefault()
	if err != nil {
		return nil, err
	}
	cache, err := bboltcachestorage.NewStore(filepath.Join(c.Root, "cache.db"))
	if err != nil {
		return nil, fmt.Errorf("opening the build cache: %w", err)
	}
	history, err := boltutil.SafeOpen(filepath.Join(c.Root, "history.db"), 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return nil, fmt.Errorf("opening the build history: %w", err)
	}
	var none int64 // of BuildKit's own history: it keeps logs as they come, with secrets in them
	return control.NewController(control.Opt{
		HistoryConfig:  &bkconfig.HistoryConfig{MaxEntries: &none},
		SessionManager: sessions, WorkerController: workers,
		Frontends:                 map[string]frontend.Frontend{"dockerfile.v0": forwarder.NewGatewayForwarder(workers.Infos(), dockerfile.Build)},
		ResolveCacheExporterFuncs: map[string]remotecache.ResolveCacheExporterFunc{},
		ResolveCacheImporterFuncs: map[string]remotecache.ResolveCacheImporterFunc{},
		CacheManager:              solver.NewCacheManager(ctx, "local", cache, worker.NewCacheResultStorage(workers)),
		HistoryDB:                 history, CacheStore: cache, LeaseManager: w.LeaseManager(), ContentStore: w.ContentStore(),
		GarbageCollect: w.GarbageCollect, GracefulStop: ctx.Done(),
	})
}

// newWorkers makes the one worker, on pandabox's own containerd.
func newWorkers(ctx context.Context, c childConfig) (*worker.Controller, error) {
	runtime := &containerd.RuntimeInfo{Name: c.Shim, Options: &runcoptions.Options{BinaryName: c.Runc, Root: c.RuncRoot}}
	opt, err := containerd.NewWorkerOpt(containerd.WorkerOptions{
		Root: c.Root, Address: c.Containerd, SnapshotterName: "overlayfs", Namespace: c.Namespace, CgroupParent: c.Cgroup,
		NetworkOpt: netproviders.Opt{Mode: "host"}, Runtime: runtime,
	}, ctd.WithTimeout(time.Minute))
	if err != nil {
		return nil, fmt.Errorf("connecting to containerd: %w", err)
	}
	disk := c.blockIO()
	providers := map[pb.NetMode]network.Provider{
		pb.NetMode_UNSET: &netProvider{socket: c.Network, disk: disk},
		pb.NetMode_NONE:  &offlineProvider{disk: disk},
	}
	conn, err := ctd.New(c.Containerd, ctd.WithDefaultNamespace(c.Namespace), ctd.WithTimeout(time.Minute))
	if err != nil {
		return nil, fmt.Errorf("connecting to containerd: %w", err)
	}
	opt.NetworkProviders = providers
	opt.Executor = containerdexecutor.New(containerdexecutor.ExecutorOptions{
		Client: conn, Root: opt.Root, CgroupParent: c.Cgroup, NetworkProviders: providers, Runtime: runtime,
		DNSConfig: &oci.DNSConfig{Nameservers: c.DNS},
	})
	opt.GCPolicy = []client.PruneInfo{{All: true, MaxUsedSpace: c.CacheMax, MinFreeSpace: c.FreeMin}}
	registries := map[string]resolverconfig.RegistryConfig{}
	for host, mirrors := range c.Mirrors {
		registries[host] = resolverconfig.RegistryConfig{Mirrors: mirrors}
	}
	opt.RegistryHosts = resolver.NewRegistryConfig(registries)
	w, err := base.NewWorker(ctx, opt)
	if err != nil {
		return nil, fmt.Errorf("making the worker: %w", err)
	}
	workers := &worker.Controller{}
	return workers, workers.Add(w)
}
