#!/bin/bash
# Runs inside the machine that run.sh starts, as root, once after each boot: a person's first hour with the package, a
# restart of the machine, and then the tests of the packages that deal with the kernel.
set -uo pipefail
cd /root || exit
trap 'systemctl --no-block poweroff' EXIT

fail() {
	echo "FAIL: $*"
	journalctl -u pandabox -n 30 --no-pager -o cat
	exit 1
}
step() { echo "== $(cut -d. -f1 /proc/uptime) s: $*"; }

# answers APP TEXT: the app says so over HTTPS, verified, within a minute.
answers() {
	for _ in $(seq 60); do
		said=$(curl -sS --cacert /root/ca.pem --resolve "$1.pandabox.localhost:443:127.0.0.1" "https://$1.pandabox.localhost/" 2>&1) && [[ $said == *"$2"* ]] && return
		sleep 1
	done
	fail "$1 answers $said"
}

# loads APP: requests it until /root/loaded is gone, and keeps what failed in /root/lost.
loads() {
	while [ -e /root/loaded ]; do
		curl -sSf -o /dev/null --cacert /root/ca.pem --resolve "$1.pandabox.localhost:443:127.0.0.1" "https://$1.pandabox.localhost/" 2>>/root/lost
		echo >>/root/asked
	done
}

if [ ! -e /root/booted ]; then
	touch /root/booted
	step "$(. /etc/os-release && echo "$PRETTY_NAME"), Linux $(uname -r), $(stat -fc %T /sys/fs/cgroup), systemd $(systemctl --version | head -1 | cut -d' ' -f2)"
	[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || fail 'this is not cgroup v2'
	dpkg -i /work/pandabox.deb || fail 'the package does not install'
	systemctl is-active pandabox || fail 'the daemon does not run'
	pandabox doctor
	curl -sSf --unix-socket /run/pandabox/pandabox.sock -o /root/ca.pem http://box/v1/ca || fail 'the box has no CA'

	step 'deploys: a folder with a Dockerfile, a folder of files'
	mkdir shop site
	cp /work/built/testapp /bin/busybox shop
	cat >shop/Dockerfile <<-'D'
		FROM scratch AS build
		COPY busybox /bin/sh
		COPY busybox /bin/busybox
		RUN --mount=type=bind,target=/src --mount=type=cache,target=/kept /bin/busybox cmp /src/testapp /src/testapp && /bin/busybox touch /kept/here
		COPY testapp /app
		FROM scratch
		COPY --from=build /app /app
		USER 1000
		ENTRYPOINT ["/app"]
	D
	(cd shop && pandabox env set --app shop VERSION=one; pandabox deploy --app shop) || fail 'the folder is not deployed'
	echo 'hello from files' >site/index.html
	(cd site && pandabox deploy --app site) || fail 'the files are not deployed'
	answers shop one
	answers site 'hello from files'

	step 'git push'
	git config --global user.name box
	git config --global user.email box@localhost
	(cd site && git init -qb main && git add -A && git commit -qm one && sed -i s/files/git/ index.html && git commit -qam two) || fail 'git'
	token=$(pandabox tokens create vm | grep -o 'pbx_[A-Za-z0-9_]*' | head -1)
	echo '127.0.0.1 pandabox.localhost' >>/etc/hosts
	(cd site && GIT_SSL_CAINFO=/root/ca.pem git -c http.version=HTTP/1.1 push "https://x:$token@pandabox.localhost/git/site.git" main) || fail 'the push is refused'
	answers site 'hello from git'

	step 'the daemon ends under load: restarted, killed, stopped for good and started'
	touch loaded
	loads shop &
	systemctl restart pandabox || fail 'no restart'
	kill -9 "$(systemctl show -p MainPID --value pandabox)"
	sleep 5
	systemctl is-active pandabox || fail 'systemd did not bring it back'
	answers shop one
	sed -i 's|touch /kept/here|cat /kept/here|; s|^ENTRYPOINT|ENV VERSION=two\n&|' shop/Dockerfile
	(cd shop && pandabox env unset --app shop VERSION && pandabox deploy --app shop) || fail 'the folder is not built by the daemon that came back'
	answers shop two
	rm loaded
	wait
	echo "asked $(wc -l <asked) times; lost: $(sort lost | uniq -c)"
	pandabox ps --app shop

	step 'the machine is restarted'
	trap - EXIT
	systemctl --no-block reboot
	exit
fi

step 'the machine is back'
answers shop two
answers site 'hello from git'
pandabox rollback --app site || fail 'no rollback'
answers site 'hello from files'
pandabox ps --app shop
dpkg -P pandabox && [ ! -e /var/lib/pandabox ] || fail 'purged, something is left'
ls -d /sys/fs/cgroup/pandabox* 2>/dev/null && fail 'purged, a control group is left'

# The last two look for what is not here: sources of modules, bases of languages.
mkdir -p /root/a/b/c
cd /root/a/b/c || exit
rc=0
read -r only </work/arguments
for package in build runtime network; do
	[[ -z $only || " $only " == *" $package "* ]] || continue
	step "the tests of $package"
	"/work/built/$package.test" -test.v -test.timeout 90m -test.skip '^(TestSearch.*|TestDetect|TestGoldenPaths|TestPartsMatchTheLibrary)$' 2>&1 | grep -E '^ *--- |^(PASS|FAIL|panic)|_test.go:' || true
	[ "${PIPESTATUS[0]}" = 0 ] || rc=1
done
[ $rc = 0 ] || fail 'some tests failed'
echo 'the guest is done'
