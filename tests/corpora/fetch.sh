#!/bin/sh
# fetch.sh NAME DIR: unpack the source package NAME (lua, zstd, redis, sqlite, llvm or linux) of this machine's
# distribution below DIR, as upstream wrote it (without the distribution's patches; Linux as it ships it), and print the
# directory it is in.
#
# The sources come from the archives this machine's apt is configured for, as root or any other user. Nothing below
# /etc or /var is touched: a private list of sources with deb-src entries, package lists and cache live in DIR/.apt.
# What is already there and complete is not fetched again.
set -eu

fail() {
	echo "fetch.sh: $*" >&2
	exit 1
}

# The first-party archives of this machine as deb-src lines: sources whose suite belongs to this release.
source_entries() {
	codename=$1
	for file in "$etc/sources.list" "$etc"/sources.list.d/*.list; do
		[ -r "$file" ] || continue
		sed -n -E 's/^[[:space:]]*deb(-src)?[[:space:]]+/deb-src /p' "$file" |
			sed -E 's/\[([^]]*[[:space:]])?arch=[^] ]*/[\1/; s/\[[[:space:]]*\]//' |
			awk -v code="$codename" '{
				suite = ""; uri = ""; skip = 0
				for (i = 2; i <= NF; i++) {
					if ($i ~ /^\[/) skip = 1
					if (!skip && uri == "") uri = $i
					else if (!skip && suite == "") suite = $i
					if ($i ~ /\]$/) skip = 0
				}
				if (suite == code || index(suite, code "-") == 1) print
			}'
	done
}

# The same for files in the newer format: stanzas with their Types replaced.
source_stanzas() {
	codename=$1
	for file in "$etc"/sources.list.d/*.sources; do
		[ -r "$file" ] || continue
		awk -v code="$codename" '
			function flush(    i, n, keep, words) {
				n = split(suites, words, /[ \t]+/); keep = 0
				for (i = 1; i <= n; i++)
					if (words[i] == code || index(words[i], code "-") == 1) keep = 1
				if (keep && enabled) printf "Types: deb-src\n%s\n", stanza
				stanza = ""; suites = ""; enabled = 1; field = ""
			}
			BEGIN { enabled = 1 }
			/^#/ { next }
			/^[ \t]*$/ { flush(); next }
			/^[^ \t]/ { field = tolower(substr($0, 1, index($0, ":") - 1)) }
			field == "suites" { line = $0; sub(/^[^:]*:/, "", line); suites = suites " " line }
			field == "enabled" && tolower($0) ~ /:[ \t]*(no|false|off|0)/ { enabled = 0 }
			field != "types" && field != "architectures" { stanza = stanza $0 "\n" }
			END { flush() }' "$file"
	done
}

# apt-get with directories of our own; keys, proxies and credentials stay this machine's.
apt() {
	apt-get -qq -o Dir::Etc::SourceList="$apt_dir/sources.list" -o Dir::Etc::SourceParts="$apt_dir/sources.list.d" \
		-o Dir::State::Lists="$apt_dir/lists" -o Dir::Cache="$apt_dir/cache" -o Acquire::Languages=none \
		-o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3 -o pkgCacheGen::Essential=none \
		-o APT::Update::Post-Invoke::= -o APT::Update::Post-Invoke-Success::= "$@"
}

[ $# -eq 2 ] || fail "usage: fetch.sh NAME DIR"
name=$1
mkdir -p "$2" || fail "cannot make the directory $2"
directory=$(cd "$2" && pwd)

# What to fetch, and a file that only a complete tree has.
case $name in
lua) package=lua5.4 witness=src/lundump.h ;;
zstd) package=libzstd witness=lib/zstd.h ;;
redis) package=redis witness=src/zmalloc.h ;;
sqlite) package=sqlite3 witness=src/where.c ;;
llvm) package=llvm-toolchain-14 witness=llvm/lib/IR/Value.cpp ;;
linux) # the kernel that this release came with, not a newer one
	package=$(apt-cache depends linux-source | sed -n 's/.*Depends: //p') witness=kernel/fork.c ;;
*) fail "unknown project $name: one of lua, zstd, redis, sqlite, llvm, linux" ;;
esac

target=$directory/$name
if [ -e "$target/$witness" ] && [ -e "$target/.complete" ]; then
	echo "$target"
	exit 0
fi
for tool in apt-get dpkg-source; do
	command -v $tool >/dev/null || fail "$tool is missing: install apt and dpkg-dev"
done
[ -r /etc/os-release ] || fail "/etc/os-release is missing: Debian or Ubuntu is needed"
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$codename" ] || fail "/etc/os-release names no VERSION_CODENAME: Debian or Ubuntu is needed"

etc=$(apt-config shell etc Dir::Etc/d) && eval "$etc" || fail "apt-config doesn't say where apt's configuration is"
etc=${etc%/}

# One fetch at a time: the lists and the cache are shared by all projects.
apt_dir=$directory/.apt
mkdir -p "$apt_dir/sources.list.d" "$apt_dir/lists/partial" "$apt_dir/cache/archives/partial"
if command -v flock >/dev/null; then
	exec 9>"$apt_dir/lock"
	flock 9
fi
if [ ! -e "$apt_dir/updated" ]; then
	source_entries "$codename" >"$apt_dir/sources.list"
	source_stanzas "$codename" >"$apt_dir/sources.list.d/private.sources"
	[ -s "$apt_dir/sources.list" ] || [ -s "$apt_dir/sources.list.d/private.sources" ] ||
		fail "no archive of $codename is configured in $etc/sources.list or $etc/sources.list.d"
	apt update >&2 || fail "apt-get update failed for the deb-src entries in $apt_dir"
	touch "$apt_dir/updated"
fi

rm -rf "$target" "$target.part"
mkdir -p "$apt_dir/download/$name"

# A package that holds nothing but a tarball of the sources; any list of packages knows it.
if [ "$name" = linux ]; then
	[ -n "$package" ] || fail "no package linux-source-* is known to apt: run apt-get update"
	(cd "$apt_dir/download/$name" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download "$package" >&2) ||
		fail "cannot fetch the package $package"
	deb=$(ls -t "$apt_dir/download/$name"/*.deb | head -n 1)
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$apt_dir/download/$name"
	mkdir "$target.part"
	tarball=$(find "$apt_dir/download/$name/usr" -name 'linux-source-*.tar.*' -type f)
	tar -x -f "$tarball" -C "$target.part" --strip-components=1
	rm -r "$apt_dir/download/$name/usr"
	touch "$target.part/.complete"
	mv "$target.part" "$target"
	echo "$target"
	exit 0
fi
(cd "$apt_dir/download/$name" && apt source --download-only "$package" >&2) ||
	fail "cannot fetch the source package $package: does an archive of $codename carry it? (remove $apt_dir/updated to" \
		"read the lists again)"
dsc=$(ls -t "$apt_dir/download/$name"/*.dsc | head -n 1)
dpkg-source --no-check --no-copy --skip-patches -x "$dsc" "$target.part" >&2 || fail "dpkg-source cannot unpack $dsc"
[ -e "$target.part/$witness" ] || fail "$package was unpacked but has no $witness"
touch "$target.part/.complete"
mv "$target.part" "$target"
echo "$target"
