package ociimage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// offer makes apt of the image work without a network: installed are the packages that it holds, and the rest of all lie in
// a folder that apt takes them from.
func offer(ctx context.Context, r *rootfs, installed, all []string) error {
	var status, index bytes.Buffer
	for _, deb := range all {
		out, err := exec.CommandContext(ctx, "dpkg-deb", "--field", deb).Output()
		if err != nil {
			return fmt.Errorf("reading %s: %w", deb, err)
		}
		control := strings.TrimSpace(string(out)) + "\n"
		if slices.Contains(installed, deb) {
			status.WriteString(control + "Status: install ok installed\n\n")
			continue
		}
		data, err := os.ReadFile(deb)
		if err != nil {
			return err
		}
		name, sum := "pool/"+strings.ReplaceAll(filepath.Base(deb), "%3a", "_"), sha256.Sum256(data)
		fmt.Fprintf(&index, "%sFilename: ./%s\nSize: %d\nSHA256: %s\n\n", control, name, len(data), hex.EncodeToString(sum[:]))
		if err := r.data("/opt/debian/"+name, File{Data: data}); err != nil {
			return err
		}
	}
	for name, data := range map[string][]byte{
		"/opt/debian/Packages": index.Bytes(), "/var/lib/dpkg/status": status.Bytes(), "/var/lib/dpkg/info/format": []byte("1\n"),
		"/var/lib/dpkg/updates/.keep": nil, "/etc/apt/sources.list": []byte("deb [trusted=yes] file:/opt/debian ./\n"),
	} {
		if err := r.data(name, File{Data: data}); err != nil {
			return err
		}
	}
	return nil
}
