#!/bin/sh
# Puts pandabox on this box, and takes it away again. See --help.
set -eu

usage() {
	cat <<'EOF'
Usage: ./install.sh [options]

Installs pandabox on this Debian or Ubuntu box and starts it: from a checkout it builds it first, in a bundle it takes
the program next to it. A second run changes nothing that is right already.

  --demo              then deploy examples/hello and request it over HTTPS
  --domain NAME       base domain of the apps (default: the public address under sslip.io, else pandabox.localhost)
  --email ADDRESS     given to the certificate authority
  --offline           ask no certificate authority; use the box's own
  --no-start          install only
  --uninstall         stop everything and remove what was installed; data stays
  --purge             with --uninstall: remove data and configuration too
  -h, --help          this text

Environment:
  PREFIX              where the program goes, as PREFIX/bin/pandabox (/usr/local)
  PANDABOX_CONFIG     the daemon's configuration file (/etc/pandabox/config.toml); written only if it is not there
  PANDABOX_DATA_DIR, PANDABOX_RUN_DIR, PANDABOX_HTTP_ADDR, PANDABOX_HTTPS_ADDR, PANDABOX_SUBNET
                      written into a new configuration file
  NO_COLOR            no colours

Exit codes: 0 done, 1 failed, 2 usage.
EOF
}

# ---- talking ----

tty=
[ -t 1 ] && tty=1
if [ -n "$tty" ] && [ -z "${NO_COLOR:-}" ]; then
	green=$(printf '\033[32m') red=$(printf '\033[31m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
else
	green='' red='' dim='' plain=''
fi

# fail WHAT [WHY] [HINT] ends with the three lines of an error.
fail() {
	[ -z "$tty" ] || printf '\r\033[K'
	printf '%serror:%s %s\n' "$red" "$plain" "$1" >&2
	[ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/  /' >&2
	[ -z "${3:-}" ] || printf '  try: %s\n' "$3" >&2
	exit 1
}

now() { date +%s; }

# done_in WHAT SECONDS prints the line of a step that did something; unchanged WHAT of one that found all right.
done_in() {
	[ -z "$tty" ] || printf '\r\033[K'
	printf '  %s✓%s %s %s(%s s)%s\n' "$green" "$plain" "$1" "$dim" "$2" "$plain"
	changed=1
}
unchanged() { printf '  %s✓%s %s\n' "$green" "$plain" "$1"; }
note() { printf '    %s\n' "$1"; }

# run WHAT COMMAND... runs a command with its output in the log and a spinner on a terminal; $took is its seconds.
run() {
	what=$1
	shift
	began=$(now)
	rc=0
	if [ -n "$tty" ]; then
		"$@" >"$log" 2>&1 &
		job=$!
		while kill -0 "$job" 2>/dev/null; do
			for c in '⠋' '⠙' '⠹' '⠸' '⠼' '⠴' '⠦' '⠧' '⠇' '⠏'; do
				printf '\r\033[K  %s %s … %s s' "$c" "$what" "$(($(now) - began))"
				sleep 0.1
				kill -0 "$job" 2>/dev/null || break
			done
		done
		wait "$job" || rc=$?
		job=
		printf '\r\033[K'
	else
		"$@" >"$log" 2>&1 || rc=$?
	fi
	took=$(($(now) - began))
	[ "$rc" = 0 ] || fail "$what: failed with code $rc; the last lines:" "$(tail -n 15 "$log")" "run it yourself: $*"
}

# step WHAT DONE COMMAND... is run, and the line of a step that did something.
step() {
	done_line=$2
	what=$1
	shift 2
	run "$what" "$@"
	done_in "$done_line" "$took"
}

# ---- the box ----

# port_owner PORT prints "NAME (pid N)" of who listens on a TCP port, or nothing.
port_owner() {
	hex=$(printf '%04X' "$1")
	# shellcheck disable=SC2013 # numbers, not lines
	for inode in $(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v p=":$hex" '$4 == "0A" && substr($2, length($2) - 4) == p { print $10 }'); do
		for fd in /proc/[0-9]*/fd/*; do
			[ "$(readlink "$fd" 2>/dev/null)" = "socket:[$inode]" ] || continue
			pid=${fd#/proc/}
			pid=${pid%%/*}
			printf '%s (pid %s)\n' "$(cat "/proc/$pid/comm" 2>/dev/null)" "$pid"
			return
		done
		echo "another program"
		return
	done
}

check_port() {
	owner=$(port_owner "$1")
	case $owner in
	"" | "pandabox (pid "*) ;;
	*) fail "port $1 is taken" "by $owner" "stop it, or choose another port: $2=:PORT ./install.sh" ;;
	esac
}

# setting KEY prints a top-level key of the configuration file, or nothing.
setting() {
	[ -f "$config" ] || return 0
	sed -n '/^\[/q; s/^'"$1"' *= *"\{0,1\}\([^"#]*[^"# ]\)"\{0,1\} *\(#.*\)\{0,1\}$/\1/p' "$config"
}

checks() {
	[ "$(uname -s)" = Linux ] || fail "pandabox runs on Linux, this is $(uname -s)"
	case $(uname -m) in
	x86_64 | aarch64) ;;
	*) fail "pandabox runs on x86_64 and aarch64, this is $(uname -m)" ;;
	esac
	[ "$(id -u)" = 0 ] || fail "this needs root" "it installs a program and a service, and starts containers" "sudo ./install.sh${arguments:+ $arguments}"
	if [ -x /usr/bin/pandabox ] && [ "$target" != /usr/bin/pandabox ]; then
		fail "pandabox is installed as a package already" "/usr/bin/pandabox is there" "apt-get install pandabox for a newer one, or apt-get remove pandabox first"
	fi
	grep -q cgroup /proc/mounts || fail "no cgroup file system is mounted" "containers cannot have limits without it" "boot with systemd, or mount cgroup2 on /sys/fs/cgroup"
	grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || fail "this kernel has no overlay file system" "" "install a kernel with the module overlay"
	dir=$data_dir
	while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
	free=$(df -Pk "$dir" | awk 'NR == 2 { print int($4 / 1024) }')
	[ "$free" -ge 1024 ] || fail "too little room in $dir" "$free MB are free, 1024 MB are the least" "free some, or choose another place: PANDABOX_DATA_DIR=… ./install.sh"
	if ! answering; then
		check_port "${http_addr##*:}" PANDABOX_HTTP_ADDR
		check_port "${https_addr##*:}" PANDABOX_HTTPS_ADDR
	fi
}

# packages COMMAND:PACKAGE... installs the packages whose command is missing.
packages() {
	missing=
	for dep in "$@"; do
		command -v "${dep%%:*}" >/dev/null 2>&1 || missing="$missing ${dep#*:}"
	done
	[ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"
	if [ -z "$missing" ]; then
		unchanged "nothing missing on this box"
		return
	fi
	command -v apt-get >/dev/null || fail "missing:$missing" "and there is no apt-get to install it with" "install it and run this again"
	# shellcheck disable=SC2086 # a list of names
	step "installing$missing" "installed$missing" install_packages $missing
}

install_packages() {
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

need_go() {
	command -v go >/dev/null || fail "there is no Go toolchain on this box" "a checkout is built on the spot" "install Go 1.26 or newer from https://go.dev/dl, or use a bundle with the program in it"
	have=$(go env GOVERSION)
	case $have in
	go1.[0-9] | go1.[0-9].* | go1.1[0-9]* | go1.20*) fail "Go is too old: $have" "1.21 or newer fetches the toolchain this needs by itself" "install Go from https://go.dev/dl" ;;
	esac
}

# ---- steps ----

same() { [ -f "$1" ] && [ -f "$2" ] && cmp -s "$1" "$2"; }

# place FROM TO MODE puts a file in place in one step, so that nobody ever sees half of it.
place() {
	mkdir -p "$(dirname "$2")"
	cp "$1" "$2.new"
	chmod "$3" "$2.new"
	mv "$2.new" "$2"
}

build() {
	if [ -f "$here/go.mod" ]; then
		packages make:make git:git gcc:gcc pkg-config:pkg-config zstd:zstd curl:curl
		need_go
		fresh=$here/bin/pandabox
		before=$(sha256sum "$fresh" 2>/dev/null || true)
		run "building pandabox, some minutes the first time" make -s -C "$here" build
		if [ "$before" = "$(sha256sum "$fresh")" ]; then unchanged "built already"; else done_in "built" "$took"; fi
	else
		fresh=$here/pandabox
		[ -x "$fresh" ] || fail "there is nothing to install" "neither go.mod nor the program pandabox is next to install.sh" "run it in a checkout or an unpacked bundle"
		packages curl:curl
	fi
	version=$("$fresh" version 2>&1) || fail "the program does not run here" "$version"
	version=$(printf '%s\n' "$version" | awk 'NR == 1 { print $NF }')
}

install_program() {
	if same "$fresh" "$target"; then
		unchanged "pandabox $version installed already"
		return
	fi
	began=$(now)
	place "$fresh" "$target" 0755
	renewed=1
	done_in "pandabox $version installed as $target" "$(($(now) - began))"
}

write_config() {
	if [ -f "$config" ]; then
		unchanged "$config kept as it is"
		[ -z "$domain$email$offline" ] || note "--domain, --email and --offline count for a new configuration only; edit this one"
		return
	fi
	mkdir -p "$(dirname "$config")"
	{
		echo "# Configuration of the pandabox daemon. The keys are described in docs/install.md."
		[ "$data_dir" = /var/lib/pandabox ] || echo "data_dir = \"$data_dir\""
		[ "$run_dir" = /run/pandabox ] || echo "run_dir = \"$run_dir\""
		[ "$http_addr" = :80 ] || echo "http_addr = \"$http_addr\""
		[ "$https_addr" = :443 ] || echo "https_addr = \"$https_addr\""
		[ -z "${PANDABOX_SUBNET:-}" ] || echo "subnet = \"$PANDABOX_SUBNET\""
		[ -z "$domain" ] || echo "base_domain = \"$domain\""
		[ -z "$offline" ] || echo "offline = true"
		[ -n "$systemd" ] || echo "log_file = \"$data_dir/daemon.log\""
		if [ -n "$email" ]; then
			echo
			echo "[acme]"
			echo "email = \"$email\""
		fi
	} >"$config.new"
	chmod 0600 "$config.new"
	mv "$config.new" "$config"
	renewed=1
	done_in "$config written" 0
}

answering() { [ -S "$run_dir/pandabox.sock" ] && curl -fsS --max-time 5 --unix-socket "$run_dir/pandabox.sock" -o "$log" http://localhost/v1/box 2>/dev/null; }

# The unit is used for the usual configuration only; another one (a second instance, a test) is supervised by pandabox.
install_unit() {
	[ -n "$systemd" ] || return 0
	for from in "$here/packaging/systemd/pandabox.service" "$here/pandabox.service"; do
		[ -f "$from" ] && break
	done
	[ -f "$from" ] || fail "pandabox.service is missing next to install.sh"
	# The unit lets the daemon write to the usual places; others are added.
	mkdir -p "$data_dir"
	paths=
	[ "$data_dir" = /var/lib/pandabox ] || paths=$data_dir
	[ "$run_dir" = /run/pandabox ] || { mkdir -p "$run_dir" && paths="$paths $run_dir"; }
	sed -e "s|^ExecStart=/usr/bin/pandabox|ExecStart=$target|" ${paths:+-e "s|^ProtectSystem=.*|&\\nReadWritePaths=$paths|"} "$from" >"$log.unit"
	if same "$log.unit" "$unit"; then
		unchanged "service installed already"
		return
	fi
	place "$log.unit" "$unit" 0644
	renewed=1
	systemctl daemon-reload
	step "installing the service" "service installed" systemctl enable pandabox.service
}

start() {
	if [ -n "$renewed" ] && answering; then
		step "stopping the daemon that runs" "stopped the daemon for its successor; apps kept running" "$target" stop --config "$config"
	fi
	if answering; then
		unchanged "listening on ${http_addr##*:}, ${https_addr##*:}"
		return
	fi
	step "starting" "listening on ${http_addr##*:}, ${https_addr##*:}" "$target" start --config "$config"
	[ -n "$systemd" ] || note "there is no systemd here: after a reboot, start it with: pandabox start$config_flag"
}

# ask PATH prints what the control API answers.
ask() { curl -fsS --max-time 30 --unix-socket "$run_dir/pandabox.sock" "http://localhost$1"; }

# field NAME prints a string or boolean of the JSON on standard input.
field() { tr '{,}' '\n' | sed -n 's/^ *"'"$1"'" *: *"\{0,1\}\([^"]*\)"\{0,1\} *$/\1/p' | head -n 1; }

owner_link() {
	box=$(ask /v1/box) || fail "the daemon does not tell about itself" "$box" "pandabox doctor"
	url=$(printf '%s' "$box" | field url)
	base=$(printf '%s' "$box" | field baseDomain)
	echo
	echo "  This box:      $url"
	if [ "$(printf '%s' "$box" | field claimed)" = true ]; then
		echo "  It has an owner. Sign in with: pandabox login $url"
	elif [ -n "$first" ]; then
		link=$(PANDABOX_SOCKET=$run_dir/pandabox.sock "$target" claim 2>/dev/null | grep -o 'https://[^ ]*' | head -n 1) || true
		[ -n "$link" ] || fail "no owner link could be made" "" "pandabox claim"
		echo "  Own this box:  $link  (works once, for 24 hours)"
	else
		echo "  It has no owner yet. A new link, in place of the one before: pandabox claim"
	fi
}

# ---- the demo ----

# hello_image makes the archive and, beside it, its digest: the same source gives the same digest.
hello_image() {
	(cd "$here" && go run ./examples/hello/image "$image.new" >"$image.digest.new") &&
		mv "$image.new" "$image" && mv "$image.digest.new" "$image.digest"
}

demo() {
	echo
	export PANDABOX_SOCKET="$run_dir/pandabox.sock"
	image=$here/hello.tar
	if [ -f "$here/go.mod" ]; then
		image=$here/bin/hello.tar
		before=$(cat "$image.digest" 2>/dev/null || true)
		run "building the image of examples/hello" hello_image
		if [ "$before" = "$(cat "$image.digest")" ]; then unchanged "image of examples/hello built already"; else done_in "image of examples/hello built" "$took"; fi
	fi
	[ -f "$image" ] || fail "there is no image of examples/hello" "hello.tar is not next to install.sh"
	digest=$(cat "$image.digest")
	if "$target" releases -a hello --json 2>/dev/null | tr -d ' \n' | grep -q "\"digest\":\"$digest\".*\"wanted\":true"; then
		unchanged "hello deployed already"
	else
		began=$(now)
		echo "  → pandabox deploy -a hello --image ${image##*/}"
		app_dir=$here/examples/hello
		[ -d "$app_dir" ] || app_dir=$here
		(cd "$app_dir" && "$target" deploy -a hello --image "$image" --yes) || fail "hello could not be deployed" "" "pandabox logs -a hello; pandabox doctor"
		done_in "hello deployed" "$(($(now) - began))"
	fi
	host=hello.$base
	port=${https_addr##*:}
	url=https://$host
	[ "$port" = 443 ] || url=$url:$port
	address=${https_addr%:*}
	case $address in "" | 0.0.0.0 | "[::]") address=127.0.0.1 ;; esac
	began=$(now)
	# Certificates of the box's own CA are checked against it, public ones against the system's.
	trust=
	case $host in *.localhost | *.internal) trust=$data_dir/ca.crt ;; esac
	[ -z "$offline" ] && [ "$(setting offline)" != true ] || trust=$data_dir/ca.crt
	tries=0
	until answer=$(curl -fsS --max-time 10 ${trust:+--cacert "$trust"} --resolve "$host:$port:$address" "$url/" 2>"$log"); do
		tries=$((tries + 1))
		[ "$tries" -lt 30 ] || fail "$url does not answer" "$(cat "$log")" "pandabox doctor; a public certificate needs ports 80 and 443 reachable from outside"
		sleep 1
	done
	unchanged "requested over HTTPS in $(($(now) - began)) s"
	echo
	echo "  \$ curl ${trust:+--cacert $trust }--resolve $host:$port:$address $url/"
	printf '%s\n' "$answer" | sed 's/^/  /'
}

# ---- taking it away ----

uninstall() {
	[ "$(id -u)" = 0 ] || fail "this needs root" "" "sudo ./install.sh --uninstall"
	if [ -x "$target" ]; then
		step "stopping every app" "stopped every app, the daemon and its network" "$target" stop --all --config "$config"
	fi
	if [ -n "$systemd" ] && [ -f "$unit" ]; then
		systemctl disable --now pandabox.service >"$log" 2>&1 || true
		rm -f "$unit"
		systemctl daemon-reload
		done_in "service removed" 0
	fi
	if [ -f "$target" ]; then
		rm -f "$target"
		done_in "$target removed" 0
	fi
	if [ -d "$run_dir" ]; then
		safe_remove "$run_dir"
	fi
	if [ -n "$purge" ]; then
		if [ -d "$data_dir" ]; then
			safe_remove "$data_dir"
			done_in "$data_dir removed" 0
		fi
		if [ -f "$config" ]; then
			rm -f "$config"
			rmdir "$(dirname "$config")" 2>/dev/null || true
			done_in "$config removed" 0
		fi
	elif [ -d "$data_dir" ] || [ -f "$config" ]; then
		note "kept: $data_dir, $config (remove them with --uninstall --purge)"
	fi
	[ -n "$changed" ] || unchanged "pandabox is not installed; nothing was changed"
}

# safe_remove removes a directory of pandabox's, and never anything mounted below it.
safe_remove() {
	case $1 in
	/ | /bin | /boot | /dev | /etc | /home | /lib* | /opt | /proc | /root | /run | /sbin | /srv | /sys | /tmp | /usr | /var | /var/lib | [!/]* | */..* ) fail "$1 is not a directory to remove" ;;
	esac
	if awk -v d="$1/" 'index($2, d) == 1 { found = 1 } END { exit !found }' /proc/mounts; then
		fail "something is still mounted below $1" "$(awk -v d="$1/" 'index($2, d) == 1 { print $2 }' /proc/mounts | head -n 3)" "umount it and run this again"
	fi
	rm -rf --one-file-system "$1"
}

# ---- main ----

arguments=$*
demo='' domain='' email='' offline='' purge='' remove='' no_start=''
while [ $# -gt 0 ]; do
	case $1 in
	--demo) demo=1 ;;
	--domain | --email)
		[ $# -ge 2 ] || { echo "error: $1 needs a value" >&2; exit 2; }
		if [ "$1" = --domain ]; then domain=$2; else email=$2; fi
		shift
		;;
	--domain=*) domain=${1#*=} ;;
	--email=*) email=${1#*=} ;;
	--offline) offline=1 ;;
	--no-start) no_start=1 ;;
	--uninstall) remove=1 ;;
	--purge) purge=1 ;;
	-h | --help) usage; exit 0 ;;
	*) printf 'error: %s is not an option\n  try: ./install.sh --help\n' "$1" >&2; exit 2 ;;
	esac
	shift
done
if [ -n "$purge" ] && [ -z "$remove" ]; then
	printf 'error: --purge goes with --uninstall\n' >&2
	exit 2
fi
case $domain$email in
*[\"\\]* | *' '*) printf 'error: --domain and --email take no quotes and no spaces\n' >&2; exit 2 ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
target=${PREFIX:-/usr/local}/bin/pandabox
unit=/etc/systemd/system/pandabox.service
config=${PANDABOX_CONFIG:-/etc/pandabox/config.toml}
config_flag=
[ "$config" = /etc/pandabox/config.toml ] || config_flag=" --config $config"
systemd=
[ -d /run/systemd/system ] && [ -z "$config_flag" ] && systemd=1

# A configuration that is there already decides.
data_dir=$(setting data_dir) run_dir=$(setting run_dir) http_addr=$(setting http_addr) https_addr=$(setting https_addr)
if [ ! -f "$config" ]; then
	data_dir=${PANDABOX_DATA_DIR:-} run_dir=${PANDABOX_RUN_DIR:-} http_addr=${PANDABOX_HTTP_ADDR:-} https_addr=${PANDABOX_HTTPS_ADDR:-}
fi
data_dir=${data_dir:-/var/lib/pandabox} run_dir=${run_dir:-/run/pandabox} http_addr=${http_addr:-:80} https_addr=${https_addr:-:443}

changed='' renewed='' first='' job='' url='' base='' version='' fresh=''
[ -e "$data_dir/pandabox.db" ] || first=1
scratch=$(mktemp -d)
log=$scratch/log
cleanup() {
	[ -z "$job" ] || kill "$job" 2>/dev/null || true
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'echo; echo "interrupted; run it again to go on" >&2; exit 130' INT TERM

if [ -n "$remove" ]; then
	uninstall
	exit 0
fi
checks
build
install_program
write_config
install_unit
if [ -z "$no_start" ]; then
	start
	owner_link
	[ -z "$demo" ] || demo
fi
echo
if [ -n "$changed" ]; then echo "  Done. Next: docs/quickstart.md"; else echo "  Everything was in place; nothing was changed."; fi
