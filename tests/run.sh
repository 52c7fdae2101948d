#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# run.sh - installs what is missing, builds Pillion, and runs every test.
#
#   tests/run.sh                 all that a change must pass
#   tests/run.sh --quick         this system's interpreters only, one build, no analysis
#   tests/run.sh --long          the full counts: a million calls, a thousand kills
#   tests/run.sh -k EXPRESSION   only the Python tests that match (as pytest's -k)
#   tests/run.sh --minor 3.12    only interpreters of this minor (may be repeated)
#   tests/run.sh --free-threaded  also a CPython without the GIL, built first (ten minutes)
#   tests/run.sh --retry         what fails runs again, at most twice, but for sanitizers; the last lines count the reruns
#   tests/run.sh --no-install    trust that everything needed is there
#
# Needs Debian 12 or later. As root it can do everything; as another user, give it a
# machine where everything is installed, and it skips what needs root. Builds and the sid
# tree are kept in PLN_WORK (/var/tmp/pillion-tests) and PLN_SID_TREE (/var/tmp/pillion-sid).
# With PLN_EVERY_MINOR set, a CPython that is promised and not there is a failure, and not a skipped test.
set -euo pipefail

repo=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
export PLN_WORK=${PLN_WORK:-/var/tmp/pillion-tests}
export PLN_SID_TREE=${PLN_SID_TREE:-/var/tmp/pillion-sid}
readonly repo jobs=${PLN_JOBS:-2}
readonly packages=(
    gcc g++ clang libclang-rt-dev clang-format clang-tidy shellcheck cmake ninja-build pkg-config git
    libunwind-dev libdwarf-dev libxxhash-dev libzstd-dev libelf-dev libiberty-dev zlib1g-dev
    libcapstone-dev
    libc6-dbg python3 python3-dev python3-dbg python3-venv debootstrap mandoc
    bash-completion zsh fish
    gdb strace valgrind musl-tools faketime libcap2-bin chromium chromium-driver
)
# Other allocators, and CPython's own tests, as releases of Debian name them: one that is not there, its tests skip.
readonly optional=(
    libjemalloc2 libtcmalloc-minimal4 libtcmalloc-minimal4t64 libmimalloc2.0 libmimalloc3
    libpython3.11-testsuite libpython3.13-testsuite
)
quick='' long='' free_threaded='' retry='' install=1 keyword='' minors=() failed=()

say() {
    printf '\n== %s (%d s)\n' "$*" "$SECONDS"
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --quick) quick=1 ;;
        --long) long=1 ;;
        --free-threaded) free_threaded=1 ;;
        --retry) retry=1 ;;
        --no-install) install='' ;;
        -k) keyword=${2:?-k needs an expression} && shift ;;
        --minor) minors+=(--minor "${2:?--minor needs a version}") && shift ;;
        -h | --help) sed -n '4,18s/^# \{0,1\}//p' "$0" && exit ;;
        *) echo "run.sh: no such option: $1 (see --help)" >&2 && exit 2 ;;
        esac
        shift
    done
}

is_installed() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

is_available() {
    apt-cache show "$1" >/dev/null 2>&1
}

install_packages() {
    local missing=() name
    for name in "${packages[@]}"; do
        is_installed "$name" || missing+=("$name")
    done
    for name in "${optional[@]}"; do
        is_installed "$name" || ! is_available "$name" || missing+=("$name")
    done
    # These may have come from elsewhere: what counts is the command.
    command -v npm >/dev/null || missing+=(npm)
    command -v go >/dev/null || missing+=(golang-go)
    [ ${#missing[@]} -eq 0 ] && return
    echo "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

make_venv() {
    local venv=$PLN_WORK/venv
    if [ ! -x "$venv/bin/pytest" ]; then
        /usr/bin/python3 -m venv "$venv"
        "$venv/bin/pip" install -q pytest
    fi
    "$venv/bin/python" -c 'import pytest_rerunfailures, xdist' 2>/dev/null ||
        "$venv/bin/pip" install -q pytest-rerunfailures pytest-xdist
    # What exports are read with, and the browser is driven by.
    "$venv/bin/python" -c 'import snakeviz, gprof2dot, jsonschema, selenium' 2>/dev/null ||
        "$venv/bin/pip" install -q snakeviz gprof2dot jsonschema selenium
    # What a profile is packed with.
    "$venv/bin/python" -c 'import zstandard, xxhash' 2>/dev/null ||
        "$venv/bin/pip" install -q zstandard xxhash
}

# A directory that another checkout was built in cannot be built in from this one.
forget_other_checkout() {
    local cache=$1/CMakeCache.txt
    [ ! -f "$cache" ] || grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$repo" "$cache" || rm -rf "$1"
}

# build TARGETS DIRECTORY [CMAKE-OPTION...]: warnings are errors in every build of the tests.
build() {
    local targets directory=$2
    read -ra targets <<<"$1"
    shift 2
    forget_other_checkout "$directory"
    cmake -S "$repo" -B "$directory" -G Ninja -DPILLION_WERROR=ON "$@" >"$directory.log" 2>&1 &&
        cmake --build "$directory" -j "$jobs" --target "${targets[@]}" -- -k 0 >>"$directory.log" 2>&1 && return
    show_failure "$directory.log"
}

# What a build said, less its progress.
show_failure() {
    grep -v '^\[[0-9/]*\]' "$1" | tail -n 60 >&2
    return 1
}

build_here() {
    build all "$PLN_WORK/build" -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_INSTALL_PREFIX=$PLN_WORK/install"
    cmake --install "$PLN_WORK/build" >/dev/null
}

# The same sources inside the sid tree: newer gcc, libunwind 1.8, libdwarf 0.11 or later.
build_sid() {
    "$repo/tests/lib/sid.sh" make "$PLN_SID_TREE"
    "$repo/tests/lib/sid.sh" show "$PLN_SID_TREE" "$repo"
    "$repo/tests/lib/sid.sh" share "$PLN_SID_TREE" "$PLN_WORK"
    forget_other_checkout "$PLN_WORK/build-sid"
    # shellcheck disable=SC2016 # expanded inside
    chroot "$PLN_SID_TREE" sh -ec '
        cmake -S "$1" -B "$2/build-sid" -G Ninja -DPILLION_WERROR=ON -DPILLION_TESTS=OFF \
            -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_INSTALL_PREFIX="$2/install-sid"
        cmake --build "$2/build-sid" -j "$3" -- -k 0
        cmake --install "$2/build-sid"
    ' build_sid "$repo" "$PLN_WORK" "$jobs" >"$PLN_WORK/build-sid.log" 2>&1 && return
    show_failure "$PLN_WORK/build-sid.log"
}

# unit_tests DIRECTORY [CTEST-OPTION...]
unit_tests() {
    ctest --test-dir "$1" --output-on-failure -j "$jobs" --no-tests=error "${@:2}"
}

# Only here may a test run again: a race that a sanitizer has seen once is there. ctest keeps to itself what was skipped.
plain_unit_tests() {
    local status=0
    unit_tests "$PLN_WORK/build" ${retry:+--repeat until-pass:3} | tee "$PLN_WORK/unit.log" || status=$?
    awk '$2 == "Test:" { name = $3 } /skipped: / && $1 != "Command:" { print "SKIPPED: " name ": " $0 }' \
        "$PLN_WORK/build/Testing/Temporary/LastTest.log"
    unit_reruns
    return "$status"
}

# A line for each start of a test but its first.
unit_reruns() {
    awk '$1 == "Start" && $2 ~ /^[0-9]+:$/ && started[$3]++ { print "RERUN: " $3 }' "$PLN_WORK/unit.log"
}

sanitizers() {
    build all "$PLN_WORK/build-asan" -DCMAKE_BUILD_TYPE=Debug -DPILLION_SANITIZE=address,undefined
    # These two run inside other programs: nothing of theirs is instrumented.
    unit_tests "$PLN_WORK/build-asan" -L unit -E python_walk
    build "test_lane test_live test_mappings" "$PLN_WORK/build-tsan" -DCMAKE_BUILD_TYPE=Debug -DPILLION_SANITIZE=thread
    unit_tests "$PLN_WORK/build-tsan" -R '^unit\.(lane|live|mappings)$'
}

analysis() {
    find "$repo/preload" "$repo/collector" -name '*.c' -print0 |
        xargs -0 -P "$jobs" -n 4 clang-tidy --quiet -p "$PLN_WORK/build" 2>/dev/null
}

# Leaves no mounts behind, unless they were there before.
guard_tree() {
    exec 9>"$PLN_SID_TREE.lock"
    flock 9
    mountpoint -q "$PLN_SID_TREE/proc" || trap '"$repo/tests/lib/sid.sh" unmount "$PLN_SID_TREE"' EXIT
}

# step NAME COMMAND...: what fails is told at the end, and the rest still runs.
step() {
    local status=0
    say "$1"
    set +e
    (
        set -e
        "${@:2}"
    )
    status=$?
    set -e
    [ $status -eq 0 ] || failed+=("$1")
}

python_tests() {
    local options=(-q -p no:cacheprovider -ra --durations=10 --junit-xml "$PLN_WORK/tests.xml" --rootdir "$repo/tests")
    # Most tests compute on one CPU, or wait. What is recorded once for a file stays with the file.
    options+=(-n "$jobs" --dist loadfile)
    [ -n "$long" ] && options+=(--long)
    [ -n "$retry" ] && options+=(--reruns 2 -raR) # the last -r holds: without "a", skips gave no reason
    [ -n "$quick" ] && options+=(-m "not full")
    [ -n "$keyword" ] && options+=(-k "$keyword")
    PYTHONDONTWRITEBYTECODE=1 "$PLN_WORK/venv/bin/pytest" "${options[@]}" "${minors[@]}" \
        "$repo/tests/contract" "$repo/tests/stress" "$repo/tests/e2e" "$repo/tests/transparency"
}

main() {
    local name
    parse "$@"
    mkdir -p "$PLN_WORK"
    if [ -n "$install" ]; then
        say "installing"
        install_packages
        make_venv
    fi
    say "building"
    build_here
    if [ -n "$free_threaded" ]; then
        say "building a free-threaded CPython"
        "$repo/tests/lib/free_threaded.sh" "$PLN_WORK/interpreters/free-threaded"
    fi
    if [ -z "$quick" ]; then
        guard_tree
        say "building in Debian sid"
        build_sid
        step "building with clang" build all "$PLN_WORK/build-clang" -DCMAKE_C_COMPILER=clang
        step "building for containers" build all "$PLN_WORK/build-container" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
            -DPILLION_STATIC=ON -DPILLION_TESTS=OFF
        step "unit tests under sanitizers" sanitizers
        step "fuzzers" "$repo/tests/fuzz/run.sh"
        step "static analysis" analysis
    else
        export PLN_SID_TREE=/nonexistent
        unset PLN_EVERY_MINOR
    fi
    step "interpreters" python3 "$repo/tests/lib/interpreters.py"
    step "unit tests" plain_unit_tests
    # pytest has the last word: what failed before it is told before it.
    for name in "${failed[@]}"; do
        printf '\nFAILED: %s\n' "$name"
    done
    step "contract, stress and end-to-end tests" python_tests
    [ -z "$retry" ] || say "unit tests: $(unit_reruns | wc -l) rerun"
    [ ${#failed[@]} -eq 0 ]
}

main "$@"
