#!/bin/sh
# build.sh NAME TREE STEP: one step of a project's own build, in the tree that fetch.sh unpacked.
#
#   configure   everything that comes before its compilations (nothing for most)
#   build       compile it
#   clean       remove what `build` made
#   needs       print the packages, beside make and the compilers, that its build needs
#
# The compilers are CC and CXX (default gcc, g++), used by bare name, so that what is first on PATH counts; JOBS is
# make's -j (default 2). `make` itself is the command MAKE.
set -eu

[ $# -eq 3 ] || {
	echo "build.sh: usage: build.sh NAME TREE configure|build|clean|needs" >&2
	exit 1
}
name=$1 tree=$2 step=$3
CC=${CC:-gcc} CXX=${CXX:-g++} JOBS=${JOBS:-2} MAKE=${MAKE:-make}
export CC CXX

case $name/$step in
lua/configure | zstd/configure | redis/configure) ;;
lua/build) exec $MAKE -C "$tree/src" -j"$JOBS" CC="$CC" linux ;;
lua/clean) exec $MAKE -C "$tree/src" clean ;;
zstd/build) exec $MAKE -C "$tree/lib" -j"$JOBS" CC="$CC" lib ;;
zstd/clean) exec $MAKE -C "$tree/lib" clean ;;
redis/build) exec $MAKE -C "$tree/src" -j"$JOBS" CC="$CC" MALLOC=libc all ;;
redis/clean) exec $MAKE -C "$tree/src" distclean ;;
# Every file of SQLite's source on its own, not the amalgamation.
sqlite/configure)
	cd "$tree"
	[ -e Makefile ] || exec ./configure -q --disable-amalgamation --disable-tcl --disable-shared --disable-readline CC="$CC"
	;;
sqlite/build) exec $MAKE -C "$tree" -j"$JOBS" CC="$CC" BCC="$CC" libsqlite3.la ;;
sqlite/clean) exec $MAKE -C "$tree" clean ;;
sqlite/needs) echo tcl ;;
*/needs) ;;
*)
	echo "build.sh: no step $step for $name" >&2
	exit 1
	;;
esac
