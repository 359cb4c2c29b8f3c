package store

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

// childEnv makes this test binary a program of its own: a writer to be killed, or one on a full disk.
const childEnv = "PANDABOX_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	child, path, _ := strings.Cut(os.Getenv(childEnv), "=")
	var err error
	switch child {
	case "":
		os.Exit(m.Run())
	case "write":
		err = writeUntilKilled(path)
	case "full":
		err = fillTheDisk(path)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// writeUntilKilled counts the releases of one workload up, and prints each number once it is acknowledged.
func writeUntilKilled(path string) error {
	s, err := Open(path, Options{})
	if err != nil {
		return err
	}
	for {
		n := 0
		err := s.Update(noContext{}, func(tx *Tx) error {
			w, err := tx.Workload("w-00000")
			if err != nil {
				return err
			}
			w.LastRelease++
			n = w.LastRelease
			if err := tx.PutWorkload(w); err != nil {
				return err
			}
			r := model.Release{ID: fmt.Sprintf("release-%d", n), WorkloadID: w.ID, Number: n, Description: strings.Repeat("x", n%3000)}
			if err := tx.PutRelease(r); err != nil {
				return err
			}
			if n%50 == 0 {
				if err := tx.Trim(w.ID); err != nil {
					return err
				}
			}
			return tx.Emit(model.Event{Kind: "app", OrgID: "org-1"})
		})
		if err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func TestAcknowledgedWritesSurviveKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pandabox.db")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *Tx) error { _, err := seed(tx, 1); return err })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for round := range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"=write="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := 0
		lines := bufio.NewScanner(out)
		for i := 0; lines.Scan(); i++ {
			if _, err := fmt.Sscan(lines.Text(), &acknowledged); err != nil {
				t.Fatal(err)
			}
			if i == 20+13*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("the writer ended by itself: %v", err)
		}
		if err := Check(path); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(path, Options{}); err != nil {
			t.Fatal(err)
		}
		w := view1(t, s, func(tx *Tx) (model.Workload, error) { return tx.Workload("w-00000") })
		// One more may have been committed than could be printed.
		if w.LastRelease < acknowledged || w.LastRelease > acknowledged+1 {
			t.Fatalf("round %d: %d acknowledged, %d there", round, acknowledged, w.LastRelease)
		}
		view1(t, s, func(tx *Tx) (model.Release, error) { return tx.ReleaseNumber(w.ID, w.LastRelease) })
		if events := view1(t, s, func(tx *Tx) (uint64, error) { return tx.LastEvent(), nil }); events != uint64(w.LastRelease-1) {
			t.Fatalf("%d events for %d releases: a transaction was torn", events, w.LastRelease)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDisk runs in a mount namespace of its own, on a disk of 1 MB that ends with it.
func TestFullDisk(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=full="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func fillTheDisk(dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		return fmt.Errorf("mounting a small disk: %w", err)
	}
	path, filler := filepath.Join(dir, "pandabox.db"), filepath.Join(dir, "filler")
	s, err := Open(path, Options{})
	if err != nil {
		return err
	}
	ctx := noContext{}
	if err := s.Update(ctx, func(tx *Tx) error { _, err := seed(tx, 10); return err }); err != nil {
		return err
	}
	if err := os.WriteFile(filler, make([]byte, 4<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("the disk is not full: %w", err)
	}
	acknowledged, refused := 0, 0
	for i := 0; refused < 20 && i < 2000; i++ {
		err := s.SaveBlob(fmt.Sprintf("blob-%04d", acknowledged), make([]byte, 2000))
		switch {
		case err == nil:
			acknowledged++
		case model.KindOf(err) == model.KindNoSpace:
			refused++
			if err := s.Update(ctx, func(tx *Tx) error { return tx.Emit(model.Event{Kind: "app", Detail: strings.Repeat("x", 5000)}) }); err != nil && model.KindOf(err) != model.KindNoSpace {
				return fmt.Errorf("an event on the full disk: %w", err)
			}
		default:
			return fmt.Errorf("a blob on the full disk: %w", err)
		}
		if d, err := s.Desired(ctx); err != nil || len(d.Workloads) != 10 {
			return fmt.Errorf("reading on the full disk: %d workloads, %w", len(d.Workloads), err)
		}
	}
	if refused == 0 {
		return errors.New("the disk never was full")
	}
	there := func(s *Store) error {
		found, err := s.ListBlobs("")
		if err != nil || len(found) != acknowledged {
			return fmt.Errorf("%d blobs acknowledged, %d there, %w", acknowledged, len(found), err)
		}
		return nil
	}
	if err := there(s); err != nil {
		return err
	}
	// The daemon can be started again meanwhile.
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = Open(path, Options{}); err != nil {
		return fmt.Errorf("opening on the full disk: %w", err)
	}
	if err := there(s); err != nil {
		return err
	}
	if err := os.Remove(filler); err != nil {
		return err
	}
	for range 20 {
		if err := s.SaveBlob(fmt.Sprintf("blob-%04d", acknowledged), make([]byte, 2000)); err != nil {
			return fmt.Errorf("after space was freed: %w", err)
		}
		acknowledged++
	}
	if err := s.Close(); err != nil {
		return err
	}
	if err := Check(path); err != nil {
		return err
	}
	if s, err = Open(path, Options{}); err != nil {
		return err
	}
	return errors.Join(there(s), s.Close())
}
