// Command image builds the hello example into a container image without Docker: an archive that
// `pandabox deploy --image` takes. It prints the image's digest.
//
//	go run ./examples/hello/image hello.tar
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/pandabox/pandabox/test/ociimage"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./examples/hello/image ARCHIVE.tar")
		os.Exit(2)
	}
	digest, err := build(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	fmt.Println(digest)
}

func build(archive string) (string, error) {
	dir, err := os.MkdirTemp("", "hello-")
	if err != nil {
		return "", fmt.Errorf("making a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, "hello")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", program, "github.com/pandabox/pandabox/examples/hello")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("building the program: %w", err)
	}
	spec, err := ociimage.Static(program, 8080)
	if err != nil {
		return "", err
	}
	return ociimage.WriteFile(archive, spec)
}
