# Everything a contributor types; `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

PREFIX ?= /usr/local
ARCH   := $(shell go env GOARCH)
# The newest release in the change log, and the commit when it is not that release's tag.
RELEASE := $(shell sed -n 's/^\#\# \[\([0-9][^]]*\)\].*/\1/p' CHANGELOG.md | head -1)
COMMIT  := $(shell git describe --exact-match --match 'v*' >/dev/null 2>&1 || git rev-parse --short=9 HEAD 2>/dev/null)
VERSION ?= $(RELEASE)$(if $(COMMIT),+$(COMMIT))

# The pinned tools are built once per content of tools/ and kept under the user's cache directory.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pandabox
TOOLS := $(CACHE)/tools/$(shell { go version; cat tools/go.mod tools/go.sum; } | sha256sum | cut -c1-16)

SCRIPTS := install.sh .ci/run $(wildcard packaging/*/*.sh packaging/deb/post* packaging/deb/pre* test/wpt/*.sh test/gitea/*.sh test/vm/* pkg/edge/js/*/*.sh pkg/edge/js/web/*/*.sh)

## build: bin/pandabox, one static program (the default)
.PHONY: build
build: parts
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/pandabox ./cmd/pandabox

## parts: the small programs pandabox carries inside itself
.PHONY: parts
parts:
	packaging/parts/build.sh

## test: everything: unit, property, conformance, stories, end to end (as root; installs what the tests need)
.PHONY: test
test: test-deps build $(TOOLS)/nfpm
	@# Both halves run whatever the other says; any failure fails the target.
	rc=0
	echo '== unit, property and conformance tests, with the race detector'
	CGO_ENABLED=1 go test -race -timeout 25m ./cmd/... ./internal/... ./pkg/... || rc=1
	echo '== the built program: layers, packaging, stories, end to end'
	PANDABOX_BIN='$(CURDIR)/bin/pandabox' NFPM='$(TOOLS)/nfpm' go test -count=1 -p 1 -timeout 30m ./test/... ./examples/... ./bench/... || rc=1
	exit $$rc

# Commands the tests run, each with the Debian package that brings it.
TEST_DEPS := gcc:gcc curl:curl nft:nftables iptables:iptables ip:iproute2 git:git ssh:openssh-client make:make npm:npm clang:clang wasm-ld:lld xz:xz-utils busybox:busybox-static taskset:util-linux

.PHONY: test-deps
test-deps:
	@missing=
	for dep in $(TEST_DEPS); do command -v "$${dep%%:*}" >/dev/null || missing+=" $${dep#*:}"; done
	test -e /usr/include/stdio.h || missing+=" libc6-dev"
	test -e /usr/lib/rustlib/wasm32-unknown-unknown || missing+=" rustc libstd-rust-dev-wasm32"
	$(call apt,$$missing)
	if [ "$$(id -u)" != 0 ]; then echo 'make test starts real containers and needs root: sudo make test' >&2; exit 1; fi

# apt installs the packages named, if any.
define apt
if [ -n "$(strip $(1))" ]; then \
	echo "installing:$(1)"; sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	$$sudo apt-get update -qq; DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $(1) >/dev/null; \
fi
endef

## lint: formatting, golangci-lint, shellcheck, the layers
.PHONY: lint
lint: parts $(TOOLS)/golangci-lint
	@missing=
	command -v shellcheck >/dev/null || missing=" shellcheck"
	$(call apt,$$missing)
	unformatted=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l)
	if [ -n "$$unformatted" ]; then echo "not formatted with gofmt:"; echo "$$unformatted"; exit 1; fi
	shellcheck -S warning $(SCRIPTS)
	$(TOOLS)/golangci-lint run --allow-parallel-runners
	go test -count=1 ./test/layers

$(TOOLS)/golangci-lint:
	cd tools && go build -trimpath -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(TOOLS)/nfpm:
	cd tools && CGO_ENABLED=0 go build -trimpath -o $@ github.com/goreleaser/nfpm/v2/cmd/nfpm

## bench: measure what the project promises; ONLY=name for one row (as root)
.PHONY: bench
bench: build
	PANDABOX_BIN='$(CURDIR)/bin/pandabox' go run ./bench $(if $(ONLY),-only '$(ONLY)')

## vm: the package and what deals with the kernel, in an emulated Debian with systemd and cgroup v2 (before a release; as root)
.PHONY: vm
vm: deb
	@missing=
	for dep in mmdebstrap:mmdebstrap qemu-system-x86_64:qemu-system-x86; do command -v "$${dep%%:*}" >/dev/null || missing+=" $${dep#*:}"; done
	$(call apt,$$missing)
	test/vm/run.sh 'dist/pandabox_$(VERSION)_$(ARCH).deb' $(ONLY)

## install: the program into PREFIX/bin (install.sh does the rest of a box)
.PHONY: install
install: build
	install -D -m 0755 bin/pandabox '$(DESTDIR)$(PREFIX)/bin/pandabox'

## deb: dist/pandabox_VERSION_ARCH.deb
.PHONY: deb
deb: build $(TOOLS)/nfpm
	NFPM='$(TOOLS)/nfpm' packaging/deb/build.sh bin/pandabox '$(VERSION)' dist

## bundle: dist/pandabox_VERSION_ARCH.tar.gz, for boxes without Go or internet
.PHONY: bundle
bundle: build
	packaging/bundle/build.sh bin/pandabox '$(VERSION)' dist

## clean: remove what the targets above made in this checkout
.PHONY: clean
clean:
	rm -rf bin dist pkg/runtime/parts/*.zst

## help: this list
.PHONY: help
help:
	@sed -n 's/^\#\# //p' $(MAKEFILE_LIST) | while IFS=: read -r name what; do printf '  make %-9s%s\n' "$$name" "$$what"; done
