package reconcile

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

func (s *session) List(ctx context.Context) ([]model.Container, error) {
	s.mu.Lock()
	if s.listErr != nil {
		defer s.mu.Unlock()
		return nil, s.listErr
	}
	var out []model.Container
	for _, name := range slices.Sorted(maps.Keys(s.containers)) {
		out = append(out, s.containers[name].Container)
	}
	s.mu.Unlock()
	return out, s.sleep(ctx, time.Millisecond) // what it says is old when it is read
}

func (s *session) Start(ctx context.Context, spec model.ContainerSpec) (model.Container, error) {
	s.mu.Lock()
	s.starting++
	s.mostStarts = max(s.mostStarts, s.starting)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.starting--
		s.mu.Unlock()
	}()
	if err := s.sleep(ctx, 40*time.Millisecond); err != nil {
		return model.Container{}, err
	}
	s.mu.Lock()
	c := s.containers[spec.Name]
	if c != nil && c.State == model.ContainerRunning {
		defer s.mu.Unlock()
		return c.Container, nil
	}
	if f := spec.Function; f != nil && (spec.Image != "" || spec.Command != nil || spec.Limits != (model.Limits{}) || spec.Mounts != nil) {
		s.broke("%s is a function and is started as a container: %+v", spec.Name, spec)
	}
	if f := spec.Static; f != nil && (spec.Image != "" || spec.Command != nil || spec.Limits != (model.Limits{}) || spec.Mounts != nil || spec.Env != nil || f.Digest == "") {
		s.broke("%s is a site and is started as a container: %+v", spec.Name, spec)
	}
	if f := spec.Static; f != nil && s.missing[f.Digest] {
		defer s.mu.Unlock()
		return model.Container{}, model.NotFound("the site %s is not here", f.Digest)
	}
	if s.missing[spec.Image] {
		defer s.mu.Unlock()
		return model.Container{}, model.NotFound("image %s is not on the box", spec.Image)
	}
	act := s.acts[spec.Replica.ReleaseID]
	if act.startErr != nil {
		defer s.mu.Unlock()
		return model.Container{}, act.startErr
	}
	if s.flaked[spec.Replica.ReleaseID] < act.flaky {
		s.flaked[spec.Replica.ReleaseID]++
		defer s.mu.Unlock()
		return model.Container{}, model.Errorf(model.KindUnavailable, "containerd does not answer")
	}
	if !s.step() {
		s.mu.Unlock()
		return model.Container{}, errDead
	}
	s.containers[spec.Name] = &fakeContainer{spec: spec, Container: model.Container{
		Name: spec.Name, Replica: spec.Replica, State: model.ContainerCreated, CreatedAt: time.Now(),
	}}
	s.mu.Unlock()
	if err := s.sleep(ctx, 40*time.Millisecond); err != nil {
		return model.Container{}, err // half made
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.step() {
		return model.Container{}, errDead
	}
	c = s.containers[spec.Name]
	if c == nil {
		s.broke("%s was removed while it was being started", spec.Name)
		return model.Container{}, errors.New("removed")
	}
	s.nextPid++
	s.nextAddr++
	s.starts[spec.Name]++
	s.tell("started %s", spec.Name)
	c.State, c.Pid, c.StartedAt, c.Addr = model.ContainerRunning, s.nextPid, time.Now(), netip.AddrFrom4([4]byte{10, 0, byte(s.nextAddr >> 8), byte(s.nextAddr)})
	if spec.Function != nil {
		c.Pid, c.Addr, c.Detail, c.ready = 0, netip.Addr{}, "js, 0.4 MB snapshot", c.StartedAt
		return c.Container, nil
	}
	if spec.Static != nil {
		c.Pid, c.Addr, c.Detail, c.ready = 0, netip.Addr{}, spec.Static.String(), c.StartedAt
		return c.Container, nil
	}
	c.ready = c.StartedAt.Add(act.boot)
	if act.dumb {
		c.ready = c.StartedAt.Add(1000 * time.Hour)
	}
	pid := c.Pid
	switch {
	case spec.Replica.Role == model.RoleRelease:
		time.AfterFunc(act.boot+time.Second, func() { s.exit(spec.Name, pid, model.Exit{Code: act.release, Known: true}) })
	case act.exit != 0:
		time.AfterFunc(act.boot, func() { s.exit(spec.Name, pid, model.Exit{Code: act.exit, Known: true}) })
	case act.oom:
		time.AfterFunc(act.boot, func() { s.exit(spec.Name, pid, model.Exit{Code: 137, Known: true, OOM: true}) })
	}
	return c.Container, nil
}

// exit ends a container's process, if it is still that one (0: whichever it is).
func (w *world) exit(name string, pid int, exit model.Exit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.containers[name]
	if c == nil || c.State != model.ContainerRunning || pid != 0 && c.Pid != pid {
		return
	}
	exit.At = time.Now()
	w.tell("%s %s", name, exit)
	c.State, c.Exit, c.Pid, c.Addr = model.ContainerExited, exit, 0, netip.Addr{}
	w.fire()
}

func (w *world) fire() {
	for ch := range w.events {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

func (s *session) Remove(ctx context.Context, name string, grace time.Duration) error {
	s.mu.Lock()
	c := s.containers[name]
	if c == nil {
		s.mu.Unlock()
		return nil
	}
	dw := s.workloads[c.Replica.WorkloadID]
	if s.routed(name) && s.answers(c) && dw != nil && !dw.Workload.Deleting {
		s.broke("%s was stopped while requests were sent to it", name)
	}
	if s.inflight[name] > 0 {
		s.broke("%s was stopped with %d requests in flight", name, s.inflight[name])
	}
	if !s.step() {
		s.mu.Unlock()
		return errDead
	}
	running := c.State == model.ContainerRunning
	s.graces[name] = grace
	s.mu.Unlock()
	if running {
		if err := s.sleep(ctx, min(grace, 200*time.Millisecond)); err != nil {
			return err
		}
		s.exit(name, 0, model.Exit{Code: 143, Known: true})
	}
	if err := s.sleep(ctx, 20*time.Millisecond); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.step() {
		return errDead
	}
	s.tell("removed %s", name)
	delete(s.containers, name)
	s.fire()
	return nil
}

func (s *session) Wait(ctx context.Context, name string) (model.Exit, error) {
	for {
		s.mu.Lock()
		c := s.containers[name]
		if c == nil {
			s.mu.Unlock()
			return model.Exit{}, model.NotFound("no container %s", name)
		}
		exit, ended := c.Exit, c.State == model.ContainerExited
		s.mu.Unlock()
		if ended {
			return exit, nil
		}
		if err := s.sleep(ctx, 10*time.Millisecond); err != nil {
			return model.Exit{}, err
		}
	}
}

func (s *session) Events(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	s.events[ch] = true
	s.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.events, ch)
		close(ch)
	})
	return ch
}

func (w *world) answers(c *fakeContainer) bool {
	_, ill := w.ill[c.Name]
	return !ill && w.seemsWell(c)
}

// seemsWell tells whether a container answers, as far as probes can have told by now.
func (w *world) seemsWell(c *fakeContainer) bool {
	since, ill := w.ill[c.Name]
	return c.State == model.ContainerRunning && !time.Now().Before(c.ready) && (!ill || time.Since(since) < 40*time.Second)
}

func (s *session) Probe(ctx context.Context, check Check) (string, error) {
	if err := s.sleep(ctx, 200*time.Microsecond); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.containers {
		if c.Addr == check.Addr.Addr() && c.State == model.ContainerRunning {
			if s.answers(c) {
				return "healthy on /up", nil
			}
			return "", errors.New("nothing listens on port 8080")
		}
	}
	return "", errors.New("no route to host")
}

func (s *session) Build(ctx context.Context, releaseID string, progress func(int, string)) (model.Built, error) {
	s.mu.Lock()
	act := s.acts[releaseID]
	s.builds[releaseID]++
	n := s.builds[releaseID]
	if s.building[releaseID] {
		s.broke("%s is built twice at once", releaseID)
	}
	s.building[releaseID] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.building, releaseID)
	}()
	for i := range 4 {
		if err := s.sleep(ctx, act.buildTime/4+time.Millisecond); err != nil {
			return model.Built{}, err
		}
		progress(25*i, "[1/4]")
	}
	switch {
	case n <= act.unbuilt:
		return model.Built{}, model.Errorf(model.KindUnavailable, "a base image cannot be fetched")
	case act.buildErr != nil:
		return model.Built{}, act.buildErr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.step() {
		return model.Built{}, errDead
	}
	digest := "sha256:built-" + releaseID
	delete(s.missing, digest)
	if r := s.releases[releaseID]; r.Static != nil {
		return model.Built{Static: &model.Static{Digest: digest, Files: 12, Bytes: 3 << 20, SPA: r.Static.SPA}, Detail: "Static files"}, nil
	}
	return model.Built{Image: model.Image{Digest: digest, Config: &model.ImageConfig{}}, Detail: "Go 1.26, 1 of 4 steps cached"}, nil
}

func (s *session) Ensure(ctx context.Context, image model.Image, progress func(int, string)) (model.Image, error) {
	s.mu.Lock()
	if image.Ref == "" {
		defer s.mu.Unlock()
		if image.Digest == "" || s.missing[image.Digest] {
			return image, model.NotFound("image %s is not on this box", image.Digest)
		}
		image.Config = &model.ImageConfig{}
		return image, nil
	}
	act := s.acts[image.Ref]
	s.pulls++
	s.mu.Unlock()
	for i := range 4 {
		if err := s.sleep(ctx, act.pullTime/4+time.Millisecond); err != nil {
			return model.Image{}, err
		}
		if act.pullTime > 0 {
			progress(25*(i+1), "4 layers")
		}
	}
	if act.pullErr != nil {
		return model.Image{}, act.pullErr
	}
	image.Digest = "sha256:" + image.Ref
	image.Config = &model.ImageConfig{}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.missing, image.Digest)
	return image, nil
}

func (s *session) Reclaim(_ context.Context, keep model.Keep) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, keep)
	return nil
}

func (s *session) Forget(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.step() {
		return errDead
	}
	for name, c := range s.containers {
		if c.Replica.WorkloadID == id {
			s.broke("the volumes of %s were deleted under %s", id, name)
		}
	}
	s.forgotten[id] = true
	return nil
}
