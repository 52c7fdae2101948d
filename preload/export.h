/* SPDX-License-Identifier: MIT */
/*
 * export.h - marks what preload.map lets the program see, and what is ours alone.
 */
#ifndef PILLION_PRELOAD_EXPORT_H
#define PILLION_PRELOAD_EXPORT_H

#define PLN_EXPORT __attribute__((visibility("default")))

/* Of a variable that others declare: it is this library's own, and is found without a table. */
#define PLN_OWN __attribute__((visibility("hidden")))

#endif
