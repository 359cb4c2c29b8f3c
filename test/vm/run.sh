#!/bin/bash
# Starts a machine of Debian with systemd and cgroup v2 and has it do what guest.sh says; what that prints is printed,
# and how it ended is how this ends. QEMU emulates the machine, so neither /dev/kvm nor a network is needed, and all
# takes some ten times as long as on metal. Run by `make vm`: run.sh DEB GUEST-ARGUMENTS.
set -euo pipefail
deb=$(realpath "$1")
shift
cd "$(dirname "$0")/../.."

# The system's disk is made once for each content of this script and of the package lists of a month.
packages=systemd,systemd-sysv,dbus,udev,kmod,linux-image-cloud-$(dpkg --print-architecture),initramfs-tools,iproute2,nftables,iptables,git,openssh-client,curl,ca-certificates,procps,busybox-static
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pandabox/vm
image=$cache/$({ cat "$0" && date +%Y-%m; } | sha256sum | cut -c1-16)
mkdir -p "$cache"
work=$(mktemp -d "$cache/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
if [ ! -d "$image" ]; then
	root=$work/root
	mmdebstrap --quiet --variant=minbase --include="$packages" bookworm "$work/root.tar"
	mkdir -p "$root" "$work/image"
	tar -xf "$work/root.tar" -C "$root"
	rm "$work/root.tar"
	mkdir "$root/work"
	printf '/dev/vda / ext4 defaults 0 1\n/dev/vdb /work ext4 defaults 0 2\n' >"$root/etc/fstab"
	echo box >"$root/etc/hostname"
	cat >"$root/etc/systemd/system/guest.service" <<-'UNIT'
		[Unit]
		Description=what the machine was started for
		After=multi-user.target
		RequiresMountsFor=/work
		[Service]
		Type=oneshot
		Environment=HOME=/root PATH=/work/bin:/usr/sbin:/usr/bin:/sbin:/bin
		ExecStart=/bin/bash -c 'bash /work/guest.sh 2>&1 | cat'
		StandardOutput=tty
		StandardError=tty
		TTYPath=/dev/ttyS1
		TimeoutStartSec=infinity
		[Install]
		WantedBy=default.target
	UNIT
	mkdir -p "$root/etc/systemd/system/default.target.wants"
	ln -s ../guest.service "$root/etc/systemd/system/default.target.wants/guest.service"
	cp "$root"/boot/vmlinuz-* "$work/image/vmlinuz"
	cp "$root"/boot/initrd.img-* "$work/image/initrd"
	truncate -s 12G "$work/image/disk"
	mkfs.ext4 -q -F -d "$root" "$work/image/disk"
	rm -rf "$root"
	mv "$work/image" "$image"
fi

# What it needs of here is on its second disk: there is no Go in it.
mkdir -p "$work/disk/bin" "$work/disk/built"
cp "$deb" "$work/disk/pandabox.deb"
cp test/vm/guest.sh "$work/disk"
cp test/vm/go "$work/disk/bin"
echo "$*" >"$work/disk/arguments"
export CGO_ENABLED=0
for package in runtime runtime/network build; do
	go test -c -ldflags '-s -w' -o "$work/disk/built/${package##*/}.test" "./pkg/$package"
done
go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$work/disk/built/" ./test/testapp
go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$work/disk/built/runtimetest-testapp" ./pkg/runtime/runtimetest/testapp
truncate -s 4G "$work/data"
mkfs.ext4 -q -F -d "$work/disk" "$work/data"
cp --sparse=always "$image/disk" "$work/system"

mkfifo "$work/said.in" "$work/said.out"
case $(uname -m) in x86_64) machine='qemu-system-x86_64 -cpu Nehalem' ;; *) echo "no machine of $(uname -m) is known here" >&2; exit 1 ;; esac
# shellcheck disable=SC2086 # two words
timeout --foreground "${VM_TIMEOUT:-7200}" $machine -accel tcg,thread=multi -m 3072 -smp 2 -nodefaults -display none -monitor none -nic none \
	-kernel "$image/vmlinuz" -initrd "$image/initrd" -append 'root=/dev/vda rw console=ttyS0 quiet' \
	-drive "file=$work/system,if=virtio,format=raw,cache=unsafe" -drive "file=$work/data,if=virtio,format=raw,cache=unsafe" \
	-serial "file:$work/console" -serial "pipe:$work/said" &
qemu=$!
trap 'kill $qemu 2>/dev/null || true; wait; rm -rf "$work"' EXIT
tee "$work/log" <"$work/said.out"
wait $qemu || true
if ! grep -q '^the guest is done' "$work/log"; then
	echo 'the machine did not come to its end; its console ends:' >&2
	tail -n 20 "$work/console" >&2
	exit 1
fi
