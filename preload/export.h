/* SPDX-License-Identifier: MIT */
/*
 * export.h - marks what preload.map lets the program see.
 */
#ifndef PILLION_PRELOAD_EXPORT_H
#define PILLION_PRELOAD_EXPORT_H

#define PLN_EXPORT __attribute__((visibility("default")))

#endif
