# SPDX-License-Identifier: MIT
"""Ways in which tools that ride inside of programs have broken them, and what shows that this one does not.

One row for each: what it is, and the tests that cause it with Pillion loaded and sampling (pytest's names;
cases in brackets are left away), or, where nothing can cause it, why not. table.py runs and prints them.
"""
import typing


class Pitfall(typing.NamedTuple):
    group: str
    number: typing.Optional[int]  # in the catalogue that this began with; None: it was met since
    what: str
    tests: tuple = ()  # of tests/, as "stress/test_x.py::test_y"
    programs: tuple = ()  # of tests/unit/, which ctest runs: "unit.x"
    why_not: str = ""


def _names(folder, text):
    return tuple("%s/%s" % (folder, name) for name in text.split())


def _row(group, number, what, stress="", e2e="", contract="", unit="", why_not=""):
    tests = _names("stress", stress) + _names("e2e", e2e) + _names("contract", contract)
    return Pitfall(group, number, what, tests, tuple("unit." + name for name in unit.split()), why_not)


STACKS, SIGNALS, LIVES, MEMORY, LIMITS, SHARED, COMPANY = (
    "walking stacks", "signals", "threads, forks and ends", "malloc and free", "limits and rights",
    "shared memory", "company")

PITFALLS = [
    _row(STACKS, 1, "a sample meets its thread in the loader, in dlsym, in a C++ exception",
         "test_storms.py::test_nothing_stands_still test_churn.py::test_libraries_and_threads_that_come_and_go"),
    _row(STACKS, 2, "locks of malloc and of the loader, taken in both orders",
         "test_storms.py::test_nothing_stands_still_with_all_at_once"),
    _row(STACKS, 3, "each walk asks the loader for its modules",
         contract="test_headers.py::test_what_a_handler_runs_calls_only_what_is_safe_in_a_handler"
                  " test_library.py::test_it_needs_libc_only"),
    _row(STACKS, 4, "thread-local storage is allocated by a thread's first sample",
         contract="test_library.py::test_its_thread_local_storage_is_initial_exec"),
    _row(STACKS, 5, "caches are made, with mmap and locks, inside of a handler",
         contract="test_headers.py::test_what_a_handler_runs_calls_only_what_is_safe_in_a_handler"),
    _row(STACKS, 6, "a walk interrupts another one of the same thread",
         "test_storms.py::test_a_walk_for_an_allocation_may_be_interrupted_by_another_one"),
    _row(STACKS, 7, "bad unwind tables, and stacks in motion",
         "test_edges.py::test_stacks_that_come_and_go_are_walked",
         unit="native_cfi native_walk native_rows symbols_hostile"),
    _row(STACKS, 8, "many system calls for each walk", "test_debuggers.py::test_strace_attaches_and_goes"),
    _row(STACKS, 9, "a function is bound, under the loader's lock, when a handler first calls it",
         contract="test_library.py::test_it_binds_at_load_and_keeps_its_relocations_read_only"),
    _row(STACKS, 10, "walks across another handler's frame",
         "test_signal_stacks.py::test_a_handler_for_faults_may_take_its_time_and_jump_away"),
    _row(STACKS, 11, "stacks that end in garbage, or in a circle", unit="native_walk python_frames far_frames"),
    _row(STACKS, None, "greenlets and gevent: stacks that are cut out and put back",
         "test_coroutines.py::test_greenlets_switch_under_samples"
         " test_coroutines.py::test_a_server_of_gevent_answers_as_without_us"),
    _row(STACKS, None, "C++ exceptions become slower",
         "test_instructions.py::test_an_exception_of_cplusplus_costs_what_it_costs_without_us"),
    _row(STACKS, 13, "a fork while a walk is under way", "test_forks.py::test_forks_at_once_do_not_stop_the_sampling_thread"),

    _row(SIGNALS, 12, "errno changes under the program",
         "test_signal_stacks.py::test_errno_is_never_changed", "test_allocations.py::test_errno_is_as_without"),
    _row(SIGNALS, 14, "a sample on a small stack, a fiber's, or at the end of one",
         "test_edges.py::test_stacks_that_come_and_go_are_walked test_edges.py::test_a_thread_may_use_nearly_all_of_a_small_stack"),
    _row(SIGNALS, 15, "an alternate stack has no room for two frames of the kernel's",
         "test_signal_stacks.py::test_a_handler_on_the_smallest_alternate_stack_has_it_for_itself"),
    _row(SIGNALS, 16, "faulthandler and its alternate stack", "test_signal_stacks.py::test_faulthandler_tells_what_it_tells_without_us"),
    _row(SIGNALS, 17, "our handler is replaced, or our signal ignored",
         "test_signals.py::test_resetting_all_signals_kills_nobody_and_sampling_goes_on"
         " test_signals.py::test_a_handler_of_the_program_gets_the_signals_of_others_only"
         " test_signals.py::test_a_handler_of_the_program_interrupts_its_system_call"
         " test_signal_stacks.py::test_a_handler_that_is_replaced_by_a_system_call_costs_samples_and_nothing_else"),
    _row(SIGNALS, 18, "our signal meets its default action", "test_execs.py::test_no_signal_of_ours_outlives_an_exec"
         " test_signals.py::test_children_that_reset_all_signals_reach_their_exec"),
    _row(SIGNALS, 19, "threads that block all signals",
         "test_signal_stacks.py::test_a_thread_that_blocks_all_signals_holds_nobody_up"),
    _row(SIGNALS, 20, "a signal that waited is taken for a sample of what comes later",
         "test_signal_stacks.py::test_a_thread_that_blocks_all_signals_holds_nobody_up"),
    _row(SIGNALS, 21, "sigwait() returns our signal", "test_signals.py::test_who_waits_for_any_signal_is_not_given_ours"
         " test_signals.py::test_who_is_told_which_signal_came_is_not_told_of_ours"
         " test_signals.py::test_a_descriptor_of_all_signals_does_not_tell_of_ours"),
    _row(SIGNALS, 22, "system calls fail with EINTR, in C as in Python", e2e="test_eintr.py::test_no_call_is_interrupted"),
    _row(SIGNALS, 22, "waits that let signals in, as event loops do (ppoll, sigsuspend)",
         "test_signals.py::test_a_wait_that_unblocks_signals_is_not_ended_by_ours"),
    _row(SIGNALS, 23, "sleeping threads are woken up, and pay for it", e2e="test_eintr.py::test_no_call_is_interrupted"),
    _row(SIGNALS, 24, "a fork is restarted by each signal and never ends",
         "test_forks.py::test_a_fork_of_a_large_program_takes_as_long_as_without_us"),
    _row(SIGNALS, 25, "handlers upon handlers: the period is shorter than a sample takes",
         "test_overload.py::test_a_period_shorter_than_a_sample_leaves_time_for_the_program"),
    _row(SIGNALS, 26, "queued signals and timers use up RLIMIT_SIGPENDING",
         "test_limits.py::test_a_limit_from_the_start_changes_nothing"),
    _row(SIGNALS, 27, "periods shorter than the kernel's tick",
         e2e="test_clocks.py::test_cpu_time_stays_exact_above_the_kernels_tick_rate"),
    _row(SIGNALS, 28, "SIGPROF and ITIMER_PROF are the program's own",
         e2e="test_transparency.py::test_a_program_that_uses_every_profiling_signal_keeps_it"),
    _row(SIGNALS, None, "what the program can see of its signals", "test_signals.py::test_all_dispositions_are_as_without_us",
         "test_transparency.py::test_what_the_program_can_see_is_unchanged"),

    _row(LIVES, 29, "a signal for a thread that has ended", "test_churn.py::test_libraries_and_threads_that_come_and_go"),
    _row(LIVES, 30, "a thread's number is used again",
         "test_sandboxes.py::test_a_thread_number_that_is_used_again_is_another_thread"),
    _row(LIVES, 31, "samples while a thread starts or ends", "test_storms.py::test_nothing_stands_still"
         " test_thread_ends.py::test_a_process_ends_with_its_last_thread"
         " test_thread_ends.py::test_a_process_ends_when_its_last_thread_is_cancelled"),
    _row(LIVES, 32, "threads that nobody told of: of C code, of a clone()",
         "test_signal_stacks.py::test_a_thread_without_thread_local_storage_lives",
         "test_processes.py::test_threads_without_python_are_sampled"),
    _row(LIVES, 33, "a child waits for a lock of a thread that it does not have",
         "test_forks.py::test_a_loader_that_stays_locked_does_not_hold_forks_up test_storms.py::test_nothing_stands_still"
         " test_forks.py::test_forks_at_once_do_not_stop_the_sampling_thread"
         " test_forks.py::test_a_fork_within_a_fork_does_not_stop_the_sampling_thread"),
    _row(LIVES, 34, "a child writes into its parent's records",
         "test_thread_ends.py::test_a_child_that_no_fork_handler_ran_in_lives",
         "test_processes.py::test_children_are_told_from_their_parents"),
    _row(LIVES, 35, "vfork and posix_spawn share their parent's memory", "test_storms.py::test_nothing_stands_still"),
    _row(LIVES, 36, "an exec with another environment, or none", "test_execs.py::test_no_signal_of_ours_outlives_an_exec"
         " test_execs.py::test_a_python_that_starts_with_no_environment_is_not_recorded"
         " test_execs.py::test_arguments_given_one_by_one_arrive"),
    _row(LIVES, None, "an exec that fails", "test_execs.py::test_an_exec_that_fails_leaves_sampling_as_it_was"),
    _row(LIVES, 37, "the collector is a target, and starts a collector",
         "test_execs.py::test_a_collector_has_not_the_library_that_its_targets_have"),
    _row(LIVES, 38, "shells, compilers and other programs are slowed or broken",
         e2e="test_env_only.py::test_other_programs_are_left_alone"),
    _row(LIVES, 39, "CPython warns of a fork with threads (-W error)",
         e2e="test_transparency.py::test_fork_warns_no_more_than_without_us"
             " test_transparency.py::test_multiprocessing_fork_warns_no_more_than_without_us"),
    _row(LIVES, 40, "unshare and setns are refused to a process with threads",
         "test_thread_ends.py::test_threads_that_step_aside_at_once_all_come_back"
         " test_thread_ends.py::test_after_setns_sampling_goes_on",
         "test_transparency.py::test_unshare_works_as_in_a_single_threaded_process"
         " test_transparency.py::test_setns_works_as_in_a_process_of_as_many_threads"),
    _row(LIVES, 41, "daemons fork twice and close all files",
         "test_sandboxes.py::test_a_daemon_forked_twice_with_all_files_closed_is_in_the_profile",
         "test_transparency.py::test_closing_every_descriptor_does_not_hurt"),
    _row(LIVES, 42, "crashes at exit", "test_edges.py::test_an_interpreter_that_has_ended_is_left_alone"
         " test_burst_churn.py::test_the_end_comes_at_any_moment"),
    _row(LIVES, None, "interpreters that end and begin again, embedded ones",
         "test_interpreters_in_programs.py::test_an_embedded_interpreter_may_end_and_begin_again"),
    _row(LIVES, 43, "subinterpreters", "test_interpreters_in_programs.py::test_subinterpreters_come_and_go_in_threads"),
    _row(LIVES, 44, "an end without exit handlers loses what was recorded", e2e="test_kill.py::test_every_profile_opens_after_sigkill"),

    _row(MEMORY, 45, "recursion at the start: dlsym allocates, allocators look for functions",
         "test_allocators.py::test_behind_pillion_its_blocks_are_counted_exactly"
         " test_allocators.py::test_blocks_that_are_asked_for_during_the_search_for_the_allocator_are_blocks_as_any"),
    _row(MEMORY, 46, "blocks from before the real allocator was found are freed by it",
         "test_allocators.py::test_behind_pillion_its_blocks_are_counted_exactly"
         " test_allocators.py::test_blocks_that_are_asked_for_during_the_search_for_the_allocator_are_blocks_as_any"),
    _row(MEMORY, 47, "one allocation is counted twice", e2e="test_allocations.py::test_counts_are_exact"),
    _row(MEMORY, 48, "our own allocations come back to us", e2e="test_allocations.py::test_counts_are_exact_however_much_is_sampled"),
    _row(MEMORY, 49, "jemalloc, tcmalloc and mimalloc, before us and behind us",
         "test_allocators.py::test_record_keeps_it_and_threads_count_what_it_gave"
         " test_allocators.py::test_behind_pillion_without_sizes_its_blocks_are_left_alone"
         " test_allocators.py::test_in_front_of_pillion_it_is_left_alone"),
    _row(MEMORY, 50, "an allocator's own heap profiler walks under its locks",
         "test_allocators.py::test_the_allocators_own_profiler_runs_beside_ours"),
    _row(MEMORY, 51, "AddressSanitizer wants to be the first library",
         "test_allocators.py::test_an_extension_built_with_address_sanitizer",
         "test_bad_input.py::test_a_program_built_with_address_sanitizer_runs_and_the_user_is_told"),
    _row(MEMORY, 52, "RTLD_DEEPBIND and allocators of a library's own",
         e2e="test_memory_bad_input.py::test_an_allocator_of_the_programs_own_is_not_seen"
             " test_memory_bad_input.py::test_blocks_that_are_freed_out_of_sight_do_not_live_twice"),
    _row(MEMORY, 53, "small objects do not come from malloc", "test_allocators.py::test_with_every_setting_of_pythonmalloc"),
    _row(MEMORY, 54, "realloc fails, is given 0, or NULL", e2e="test_allocations.py::test_counts_are_exact"),
    _row(MEMORY, 55, "memalign, pvalloc, reallocarray and the rest", e2e="test_allocations.py::test_counts_are_exact"),
    _row(MEMORY, 56, "frees after everything has ended", "test_allocators.py::test_behind_pillion_its_blocks_are_counted_exactly"),
    _row(MEMORY, 57, "malloc becomes slower", "test_instructions.py::test_a_malloc_and_its_free_cost_a_few_instructions_more"),
    _row(MEMORY, 58, "pthread_getattr_np allocates under a lock of the thread", "test_storms.py::test_nothing_stands_still"),

    _row(LIMITS, 59, "process_vm_readv is refused",
         e2e="test_interpreters.py::test_where_process_vm_readv_is_refused_python_frames_are_recorded"),
    _row(LIMITS, 60, "two handlers of SIGSEGV", "test_signal_stacks.py::test_faulthandler_tells_what_it_tells_without_us"
         " test_signal_stacks.py::test_a_handler_for_faults_may_take_its_time_and_jump_away"),
    _row(LIMITS, 61, "no thread can be made: RLIMIT_STACK is unlimited, or tiny",
         "test_limits.py::test_a_limit_from_the_start_changes_nothing"
         " test_limits.py::test_a_stack_hardly_larger_than_python_needs_by_itself_changes_nothing"
         " test_limits.py::test_where_no_thread_may_be_made_the_program_runs_unsampled"
         " test_limits.py::test_the_sampling_thread_has_a_stack_for_much_thread_local_storage"
         " test_limits.py::test_where_the_sampling_thread_cannot_come_back_what_is_missing_is_stated"),
    _row(LIMITS, 62, "lengths that are garbage are allocated", unit="python_frames python_codes ingest_hostile linetable"),
    _row(LIMITS, 63, "descriptors run out, or are closed and used again",
         "test_limits.py::test_all_waits_are_seen_with_more_threads_than_descriptors",
         "test_transparency.py::test_closing_every_descriptor_does_not_hurt"),
    _row(LIMITS, 64, "seccomp filters that kill or refuse",
         "test_sandboxes.py::test_a_filter_that_a_program_puts_on_itself_is_not_run_into",
         "test_bad_input.py::test_without_a_call_that_can_be_replaced_a_profile_is_made"),
    _row(LIMITS, None, "RLIMIT_AS, RLIMIT_FSIZE, RLIMIT_MEMLOCK", "test_limits.py::test_a_limit_from_the_start_changes_nothing"
         " test_limits.py::test_a_program_that_limits_itself_has_nearly_all_of_it"
         " test_limits.py::test_a_narrow_address_space_is_told_or_suffices"
         " test_limits.py::test_where_the_segment_may_not_be_made_the_program_runs_unsampled"),
    _row(LIMITS, None, "chroot", "test_sandboxes.py::test_another_root_directory_ends_nothing"),
    _row(LIMITS, 65, "setuid programs are not preloaded", e2e="test_bad_input.py::test_a_setuid_program_runs_and_the_user_is_told"),
    _row(LIMITS, 66, "static programs are not preloaded", e2e="test_bad_input.py::test_a_static_program_runs_and_the_user_is_told"),
    _row(LIMITS, 67, "a path that LD_PRELOAD cannot hold", e2e="test_record_cli.py::test_a_path_that_ld_preload_cannot_hold"),

    _row(SHARED, 68, "/dev/shm is full (SIGBUS)", "test_sandboxes.py::test_a_small_dev_shm_is_no_matter"),
    _row(SHARED, 69, "the collector cuts the segment short (SIGBUS)", "test_broken_collector.py::test_it_cannot_cut_the_segment_short"),
    _row(SHARED, None, "the collector writes anything anywhere",
         "test_broken_collector.py::test_what_it_writes_over_our_words_changes_nothing"),
    _row(SHARED, 70, "files are left behind after SIGKILL",
         "test_sandboxes.py::test_nothing_is_left_behind_by_a_program_and_a_collector_that_are_killed"),
    _row(SHARED, 71, "a kill in the middle of a record", e2e="test_kill.py::test_every_profile_opens_after_sigkill"),
    _row(SHARED, 72, "the collector dies or stands still",
         "test_forks.py::test_forks_are_not_held_up_by_a_collector_that_stands_still"
         " test_dormancy.py::test_threads_that_started_meanwhile_are_sampled_when_the_collector_is_back",
         "test_kill.py::test_a_killed_collector_leaves_what_it_had_and_a_running_target"),
    _row(SHARED, 73, "shared memory counts for the program's limit",
         "test_limits.py::test_locked_memory_and_core_dumps_do_not_fill_the_segment_in"),
    _row(SHARED, 74, "a read-only root directory, no TMPDIR", e2e="test_bad_input.py::test_a_read_only_directory"),
    _row(SHARED, 75, "process numbers of another namespace",
         e2e="test_first_process.py::test_its_profile_is_whole_when_it_has_ended"),
    _row(SHARED, 76, "who becomes another user", "test_sandboxes.py::test_who_becomes_another_user_stays_in_the_profile_with_its_children"),
    _row(SHARED, 77, "samples crowd out what must not be lost", "test_churn.py::test_a_full_lane_costs_samples_and_nothing_else"),

    _row(COMPANY, None, "gdb, attached and around it", "test_debuggers.py::test_gdb_attaches_looks_and_goes"
         " test_debuggers.py::test_a_program_runs_in_gdb"),
    _row(COMPANY, None, "libfaketime, with its locks and without",
         "test_fake_clocks.py::test_under_libfaketime_the_profile_has_the_kernels_time"),
    _row(COMPANY, None, "strace", "test_debuggers.py::test_strace_attaches_and_goes"),
    _row(COMPANY, None, "gunicorn and uWSGI", "test_servers.py::test_a_server_answers_reloads_and_ends_as_without_us"),
    _row(COMPANY, 66, "programs of musl", "test_other_libc.py::test_a_program_of_musl_runs_as_without_us"
         " test_other_libc.py::test_musl_has_all_that_must_be_there"),
    _row(COMPANY, 66, "32-bit programs",
         why_not="the loader does not load a library for x86-64 there; a line on stderr, and it runs without"),
    _row(COMPANY, 29, "pthread_kill at an ended thread aborts (bionic)",
         why_not="threads are only known by their numbers; no pthread_kill is called"),
    _row(COMPANY, None, "a default action set past libc (rt_sigaction to SIG_DFL)",
         why_not="its next sample ends the program before anything could look; no program is known that does it"),
]
