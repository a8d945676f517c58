#!/bin/sh
# prepare.sh NAME DIR: fetch the project NAME (llvm or linux) below DIR and make it ready, so that single files of it
# compile; print the directory that holds its compile_commands.json.
#
# llvm: LLVM and clang, X86 only, -O0, clang++. linux: vmlinux of the defconfig, gcc. Both with every header generated that
# their sources include, and hardly anything compiled. Some minutes, once.
set -eu

fail() {
	echo "prepare.sh: $*" >&2
	exit 1
}

[ $# -eq 2 ] || fail "usage: prepare.sh NAME DIR"
name=$1
case $name in
llvm | linux) ;;
*) fail "unknown project $name: one of llvm, linux" ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
source=$("$here/fetch.sh" "$name" "$2")
build=$source-build
if [ -e "$build/.complete" ]; then
	echo "$build"
	exit 0
fi
rm -rf "$build"
mkdir "$build"
log=$build.log
jobs=$(nproc)
# Nothing of the user's build environment, make's least of all, is for these builds.
unset MAKEFLAGS MFLAGS MAKELEVEL CC CXX CFLAGS CXXFLAGS

prepare_llvm() {
	llvm=/usr/lib/llvm-14
	# Debian carries every generator but clang's own; LLVM's libraries are there, so it needs only its twenty files.
	mkdir "$build/generator"
	ls "$source"/clang/utils/TableGen/*.cpp | xargs -P "$jobs" -I '{}' sh -c '
		$1/bin/clang++ -std=c++14 -O1 -fno-exceptions -fno-rtti -D_GNU_SOURCE -D__STDC_CONSTANT_MACROS \
			-D__STDC_FORMAT_MACROS -D__STDC_LIMIT_MACROS -I$1/include -I$2/clang/include -c -o "$3/$(basename "$4").o" "$4"' \
		sh "$llvm" "$source" "$build/generator" '{}'
	$llvm/bin/clang++ -o "$build/generator/clang-tblgen" "$build"/generator/*.o $llvm/lib/libLLVMTableGen.a \
		$llvm/lib/libLLVM-14.so
	cmake -G Ninja -S "$source/llvm" -B "$build" \
		-DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 -DCMAKE_C_FLAGS_DEBUG=-O0 \
		-DCMAKE_C_COMPILER=/usr/bin/clang-14 -DCMAKE_CXX_COMPILER=/usr/bin/clang++-14 \
		-DLLVM_TARGETS_TO_BUILD=X86 -DLLVM_ENABLE_PROJECTS=clang \
		-DLLVM_TABLEGEN=$llvm/bin/llvm-tblgen -DCLANG_TABLEGEN="$build/generator/clang-tblgen" \
		-DLLVM_INCLUDE_TESTS=OFF -DLLVM_INCLUDE_BENCHMARKS=OFF -DLLVM_INCLUDE_EXAMPLES=OFF -DLLVM_ENABLE_ZLIB=OFF \
		-DLLVM_ENABLE_TERMINFO=OFF -DLLVM_ENABLE_LIBXML2=OFF -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
	# All but the one for which a part of clang would have to be built.
	ninja -C "$build" -t targets all | sed -n -E 's/^([^/].*\.(inc|h|def|gen)): .*/\1/p' | grep -v NodeIntrospection |
		xargs ninja -C "$build" -j "$jobs"
	# What LLVM itself takes where it can't run the program that generates this one, most of LLVM linked together.
	cp "$source/clang/lib/Tooling/EmptyNodeIntrospection.inc.in" "$build/tools/clang/include/clang/Tooling/NodeIntrospection.inc"
}

prepare_linux() {
	make -s -C "$source" O="$build" defconfig
	gcc -c -x assembler -o "$build/placeholder.o" /dev/null
	UNITS=$build/units PLACEHOLDER=$build/placeholder.o \
		make -s -C "$source" O="$build" -j "$jobs" CC="$here/kernel-cc" vmlinux_o
	{ echo '['; sed '$!s/$/,/' "$build/units"; echo ']'; } >"$build/compile_commands.json"
}

# No || behind the function: it would make the shell go on after what fails inside.
trap '[ -e "$build/.complete" ] || echo "prepare.sh: $name cannot be made ready; see $log" >&2' EXIT
prepare_"$name" >"$log" 2>&1
touch "$build/.complete"
echo "$build"
