#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes a text as a C string, without its lines of comment.
# usage: embed.sh NAME INPUT OUTPUT
set -eu
awk -v name="$1" '
	BEGIN { printf "static const char %s[] =\n", name }
	/^[ \t]*\/\// { next }
	{ gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); printf "\t\"%s\\n\"\n", $0 }
	END { print "\t\"\";" }' "$2" >"$3.new"
mv "$3.new" "$3"
