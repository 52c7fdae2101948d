/* SPDX-License-Identifier: MIT */
/*
 * old_glibc.h - one library for every glibc from 2.17 (2012) on.
 *
 * Included in front of every source file of the library for containers. Functions that glibc has
 * moved into libc.so.6, or given another version, are asked for by the version that they had
 * before: newer ones still have that. Where they lived then, in libpthread and libdl, the library
 * is linked with as well (CMakeLists.txt); those are empty since 2.34. What came later than 2.17 is
 * called as a system call. tests/contract/test_library.py looks at what is needed in the end.
 */
#ifndef PILLION_PRELOAD_OLD_GLIBC_H
#define PILLION_PRELOAD_OLD_GLIBC_H

#define PLN_OLD(name, version) __asm__(".symver " #name "," #name "@GLIBC_" version)

PLN_OLD(dladdr, "2.2.5");
PLN_OLD(dladdr1, "2.3.3");
PLN_OLD(dlopen, "2.2.5");
PLN_OLD(dlsym, "2.2.5");
PLN_OLD(pthread_attr_getstacksize, "2.2.5");
PLN_OLD(pthread_attr_setstacksize, "2.2.5");
PLN_OLD(pthread_getspecific, "2.2.5");
PLN_OLD(pthread_join, "2.2.5");
PLN_OLD(pthread_mutex_timedlock, "2.2.5");
PLN_OLD(pthread_sigmask, "2.2.5");

#endif
