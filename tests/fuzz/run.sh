#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# run.sh - builds the fuzzers with clang and runs each, from the corpora that are kept here.
#
#   tests/fuzz/run.sh                          every target, for 3 seconds
#   tests/fuzz/run.sh --seconds 60 elf cfi     two of them, for a minute
#   tests/fuzz/run.sh --runs 10000000          every target, so many executions
#   tests/fuzz/run.sh --max-len 1024 records   inputs of so many bytes at most (8192): more in a second
#
# PLN_SEED is where chance begins (1: a change is held against the same inputs each time; 0: anew).
# New inputs are kept in PLN_WORK/fuzz/TARGET, what breaks something in PLN_WORK/fuzz: give
# that file to the fuzzer alone to see it again. PLN_JOBS (2) targets run at a time.
set -euo pipefail

here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
readonly here repo=${here%/tests/fuzz}
readonly work=${PLN_WORK:-/var/tmp/pillion-tests} jobs=${PLN_JOBS:-2}
readonly all=(profile records hello linetable names elf dwarf cfi layout python)
limit=-max_total_time=3 max_len=8192 targets=()

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --seconds) limit=-max_total_time=${2:?--seconds needs a number} && shift ;;
        --runs) limit=-runs=${2:?--runs needs a number} && shift ;;
        --max-len) max_len=${2:?--max-len needs a number} && shift ;;
        -h | --help) sed -n '4,14s/^# \{0,1\}//p' "$0" && exit ;;
        -*) echo "run.sh: no such option: $1 (see --help)" >&2 && exit 2 ;;
        *) targets+=("$1") ;;
        esac
        shift
    done
    [ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")
}

# Only what the targets need. What the compiler says is shown when it fails.
build() {
    local log=$work/build-fuzz.log
    mkdir -p "$work/fuzz"
    if ! { cmake -S "$repo" -B "$work/build-fuzz" -G Ninja -DCMAKE_C_COMPILER=clang -DPILLION_FUZZ=ON \
        -DPILLION_WERROR=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo &&
        cmake --build "$work/build-fuzz" -j "$jobs" --target "${targets[@]/#/fuzz_}"; } >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        return 1
    fi
}

# The number behind a word of libFuzzer's last words.
figure() {
    sed -n "s/^stat::$1: *//p" "$2"
}

# fuzz TARGET: one line about it; false when it found something.
fuzz() {
    local name=$1 log=$work/fuzz/$1.log status=0 cover
    mkdir -p "$work/fuzz/$name"
    "$work/build-fuzz/tests/fuzz/fuzz_$name" "$limit" "-seed=${PLN_SEED:-1}" "-max_len=$max_len" -timeout=20 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$work/fuzz/$name-" "$work/fuzz/$name" "$here/corpus/$name" \
        >"$log" 2>&1 || status=$?
    cover=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    printf '%-10s %12s executions %8s a second %7s edges  %s\n' "$name" \
        "$(figure number_of_executed_units "$log")" "$(figure average_exec_per_sec "$log")" "${cover:--}" \
        "$([ $status -eq 0 ] && echo passed || echo "FAILED: see $log")"
    return $status
}

main() {
    parse "$@"
    build
    export here work limit max_len
    export -f fuzz figure
    # shellcheck disable=SC2016 # expanded inside
    printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I '{}' bash -c 'set -euo pipefail; fuzz "$1"' fuzz '{}'
}

main "$@"
