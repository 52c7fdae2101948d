/* SPDX-License-Identifier: MIT */
/*
 * atomic.h - named-order atomic operations on shared words.
 *
 * The order is part of the name, so that a reader sees it without counting
 * arguments. release/acquire: what was written before a release store is seen
 * by whoever reads that value with an acquire load. relaxed: the value alone
 * matters (counters, hints).
 */
#ifndef PILLION_ATOMIC_H
#define PILLION_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define pln_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define pln_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define pln_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define pln_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define pln_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define pln_swap_relaxed(p, v) atomic_exchange_explicit((p), (v), memory_order_relaxed)
#define pln_swap_acquire(p, v) atomic_exchange_explicit((p), (v), memory_order_acquire)
#define pln_cas_acquire(p, expected, v)                                                            \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acquire,        \
						memory_order_relaxed)
#define pln_cas_release(p, expected, v)                                                            \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_release,        \
						memory_order_relaxed)

/* Between a handler and the thread that it interrupts: no CPU fence needed. */
#define pln_signal_fence() atomic_signal_fence(memory_order_seq_cst)

#endif
