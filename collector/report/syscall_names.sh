#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes the table of system call names that names.c includes: from the numbers in the
# kernel's own header, so that it is as new as the machine that builds.
# usage: syscall_names.sh COMPILER OUTPUT
set -eu
echo '#include <asm/unistd_64.h>' | "$1" -E -dM -x c - |
	awk '$1 == "#define" && $2 ~ /^__NR_/ && $3 ~ /^[0-9]+$/ {
		name = $2
		sub(/^__NR_/, "", name)
		printf "[%d] = \"%s\",\n", $3, name
	}' | sort -t '[' -k 2 -n >"$2.new"
test -s "$2.new"
mv "$2.new" "$2"
