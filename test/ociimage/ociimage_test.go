package ociimage

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

func TestWriteIsALayoutWhoseIndexNamesTheDigest(t *testing.T) {
	spec := Spec{Files: map[string]File{"/a/b/hello": {Data: []byte("hi"), Mode: 0o755}}, Entrypoint: []string{"/a/b/hello"}, Port: 8080}
	var first, second bytes.Buffer
	digest, err := Write(&first, spec)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Write(&second, spec); err != nil || again != digest || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Fatalf("the second archive differs: %s, %v", again, err)
	}
	if _, err := name.NewDigest("x@" + digest); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for tr := tar.NewReader(&first); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
	var index struct {
		Manifests []struct{ Digest string }
	}
	if err := json.Unmarshal(files["index.json"], &index); err != nil || len(index.Manifests) != 1 || index.Manifests[0].Digest != digest {
		t.Fatalf("index.json: %s, %v", files["index.json"], err)
	}
	if files["oci-layout"] == nil || files["blobs/sha256/"+digest[len("sha256:"):]] == nil {
		t.Fatalf("the layout lacks oci-layout or the manifest")
	}
}
