package ociimage

import "maps"

// Versions of what the bases hold: those of Debian bookworm.
const (
	RubyVersion = "3.1"
	PHPVersion  = "8.2"
	RustVersion = "1" // of the name; the compiler is older than what most projects of today ask for
)

// ruby is Debian's Ruby with Bundler, set up as the official image is.
func ruby() Debian {
	d := slim("ruby", "bundler")
	d.Env = []string{"PATH=/usr/local/bundle/bin:" + d.Env[0][len("PATH="):], "GEM_HOME=/usr/local/bundle", "BUNDLE_APP_CONFIG=/usr/local/bundle", "BUNDLE_SILENCE_ROOT_WARNING=1"}
	d.Writable = []string{"usr/local/bundle"}
	d.Command = []string{"irb"}
	return d
}

// rust is Debian's compiler with what it takes to link.
func rust() Debian {
	d := slim("rustc", "cargo", "gcc", "libc6-dev")
	d.Links["/usr/bin/cc"] = "gcc"
	d.Leave = append(d.Leave, "usr/lib/gcc/x86_64-linux-gnu/12/cc1", "usr/lib/gcc/x86_64-linux-gnu/12/lto1", "usr/lib/gcc/x86_64-linux-gnu/12/plugin")
	d.Env = []string{"PATH=/usr/local/cargo/bin:" + d.Env[0][len("PATH="):], "CARGO_HOME=/usr/local/cargo"}
	return d
}

// hugoSlim is a Debian whose apt has hugo to offer.
func hugoSlim() Debian {
	d := slim("apt", "dpkg", "diffutils")
	d.Offers = []string{"hugo"}
	return d
}

// phpUsers are those of a Debian that serves websites.
func phpUsers(d Debian) {
	const users = "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
	d.Files["/etc/passwd"], d.Files["/etc/group"] = File{Data: []byte(users)}, File{Data: []byte("root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n")}
}

// composer is Debian's, with the extensions it needs.
func composer() Debian {
	d := slim("composer", "php-cli", "php-mbstring", "unzip")
	const extensions = "extension=phar.so\nextension=ctype.so\nextension=iconv.so\nextension=tokenizer.so\nextension=mbstring.so\nextension=fileinfo.so\nextension=posix.so\n"
	d.Files["/etc/php/"+PHPVersion+"/cli/conf.d/20-composer.ini"] = File{Data: []byte(extensions)}
	d.Links["/usr/bin/php"] = "php" + PHPVersion
	d.Env = append(d.Env, "COMPOSER_ALLOW_SUPERUSER=1", "COMPOSER_HOME=/tmp", "COMPOSER_DISABLE_NETWORK=1")
	d.WorkDir = "/app"
	return d
}

// php is Debian's Apache with PHP, set up as the official image is: it logs to what the container prints, and stops in
// peace on SIGWINCH.
func php() Debian {
	d := slim("apache2", "libapache2-mod-php")
	d.Leave = []string{"usr/share/zoneinfo/right", "usr/lib/x86_64-linux-gnu/gconv"}
	phpUsers(d)
	const start = `#!/bin/sh
set -eu
. /etc/apache2/envvars
mkdir -p "$APACHE_RUN_DIR" "$APACHE_LOCK_DIR"
rm -f "$APACHE_PID_FILE"
exec apache2 -DFOREGROUND "$@"
`
	// As in the official image, the environment says where it differs.
	var variables string
	for _, v := range [][2]string{{"RUN_USER", "www-data"}, {"RUN_GROUP", "www-data"}, {"RUN_DIR", "/var/run/apache2"}, {"LOCK_DIR", "/var/lock/apache2"}, {"LOG_DIR", "/var/log/apache2"}, {"PID_FILE", "/var/run/apache2/apache2.pid"}} {
		variables += ": ${APACHE_" + v[0] + ":=" + v[1] + "}\nexport APACHE_" + v[0] + "\n"
	}
	const site = "<FilesMatch \\.php$>\n\tSetHandler application/x-httpd-php\n</FilesMatch>\nDirectoryIndex disabled\nDirectoryIndex index.php index.html\n<Directory /var/www/>\n\tOptions -Indexes\n\tAllowOverride All\n</Directory>\n"
	maps.Copy(d.Files, map[string]File{
		"/usr/local/bin/apache2-foreground":         {Data: []byte(start), Mode: 0o755},
		"/etc/apache2/envvars":                      {Data: []byte(variables)},
		"/etc/apache2/conf-enabled/docker-php.conf": {Data: []byte(site)},
	})
	for _, m := range []string{"alias.conf", "alias.load", "authz_core.load", "dir.conf", "dir.load", "env.load", "mime.conf", "mime.load", "mpm_prefork.conf", "mpm_prefork.load", "php" + PHPVersion + ".load"} {
		d.Links["/etc/apache2/mods-enabled/"+m] = "../mods-available/" + m
	}
	maps.Copy(d.Links, map[string]string{
		"/etc/apache2/sites-enabled/site.conf": "../sites-available/000-default.conf",
		"/var/log/apache2/access.log":          "/dev/stdout",
		"/var/log/apache2/error.log":           "/dev/stderr",
	})
	d.Writable = []string{"run/apache2", "run/lock/apache2", "var/www/html", "var/log/apache2"}
	d.Env = append(d.Env, "APACHE_CONFDIR=/etc/apache2", "APACHE_ENVVARS=/etc/apache2/envvars")
	d.StopSignal, d.WorkDir = "SIGWINCH", "/var/www/html"
	d.Command = []string{"apache2-foreground"}
	return d
}
