/* SPDX-License-Identifier: MIT */
/*
 * big_tls.c - a MiB of thread-local storage, which glibc lays into each thread's stack.
 *
 * Preloaded behind Pillion.
 */
__thread __attribute__((tls_model("initial-exec"))) char big_tls[1 << 20];

char *own_big_tls(void)
{
	return big_tls;
}
