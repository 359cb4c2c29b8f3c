package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestWhatWasPushedIsRestoredOnANewBox pushes over HTTPS and SSH, and goes on with a box that has nothing but the backup:
// ssh sees the key that it knows, git what it pushed, and what is pushed next is only what is new.
func TestWhatWasPushedIsRestoredOnANewBox(t *testing.T) {
	f, addr := startSSH(t)
	f.run(0, nil, "git", "remote")
	web := []string{"PANDABOX_TOKEN=" + strings.TrimSpace(f.cli(0, "tokens", "create", "git").Out), "PANDABOX_SOCKET=" + f.box.Socket(), "XDG_CONFIG_HOME=" + filepath.Join(f.box.Dir, "home")}
	key, known := f.keygen(), filepath.Join(f.TempDir(), "known")
	ssh := func(check string) []string {
		return []string{"GIT_SSH_COMMAND=ssh -F /dev/null -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=" + check + " -o UserKnownHostsFile=" + known + " -i " + key}
	}
	f.run(0, nil, "keys", "add", key+".pub")
	url := "ssh://git@" + addr + "/shop.git"
	git := func(env []string, args ...string) string {
		t.Helper()
		out, err := f.push(env, args...)
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return out
	}
	git(web, "push", "pandabox", "main")
	f.dockerfile("2")
	f.commit("The second")
	git(ssh("accept-new"), "push", url, "main", "main:refs/tags/v2")
	f.answers("shop", "/", "shop 2")
	refs := git(ssh("yes"), "ls-remote", url)

	file := filepath.Join(t.TempDir(), "box.backup")
	f.cli(0, "backup", file)
	if err := f.box.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	f.cli(0, "stop", "--all", "--config", f.box.Config)
	if err := os.RemoveAll(f.box.DataDir); err != nil {
		t.Fatal(err)
	}
	f.cli(0, "restore", file, "--config", f.box.Config)
	if err := f.box.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.eventually("the app", func() bool { _, body, err := f.get("shop", "/"); return err == nil && body == "shop 2" })
	var again string
	f.eventually("git over SSH", func() bool { // which ends well only with the key that is known
		out, err := f.push(ssh("yes"), "ls-remote", url)
		if again = out; strings.Contains(out, "REMOTE HOST IDENTIFICATION") {
			t.Fatal(out)
		}
		return err == nil
	})
	if again != refs || !strings.Contains(refs, "refs/tags/v2") {
		t.Errorf("the box has\n%s\nit had\n%s", again, refs)
	}
	head := git(nil, "rev-parse", "main")
	for name, from := range map[string]struct {
		env []string
		url string
	}{"HTTPS": {web, f.remote()}, "SSH": {ssh("yes"), url}} {
		clone := filepath.Join(t.TempDir(), "clone")
		git(from.env, "clone", "-q", from.url, clone, "-c", "credential.helper=!"+f.box.Bin+" git credential")
		if got := git(nil, "-C", clone, "rev-parse", "HEAD"); got != head {
			t.Errorf("over %s the clone is at %s, not %s", name, got, head)
		}
		git(nil, "-C", clone, "fsck", "--full", "--strict")
	}
	if out := git(web, "push", "pandabox", "main"); !strings.Contains(out, "up-to-date") {
		t.Errorf("a push of what is there says\n%s", out)
	}
	for version, push := range map[string][]string{"3": {"pandabox"}, "4": {url}} {
		f.dockerfile(version)
		f.commit("Version " + version)
		env := ssh("yes")
		if version == "3" {
			env = web
		}
		f.says(git(env, append([]string{"push", "--progress"}, append(push, "main")...)...), `Total 3 \(`, `^remote: https://shop\..* release v`) // a commit, a folder, a file
		f.answers("shop", "/", "shop "+version)
	}
}
