/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the other headers of the shell stand on, so that they build in the kernel, in userspace, in
 * C++ and in HLS C. All fields of the shell's structures are little-endian and naturally aligned;
 * a shell_f32 is an IEEE single by its bits, since the kernel has no floating point.
 */
#ifndef FACET_BOARDS_SHELL_TYPES_H
#define FACET_BOARDS_SHELL_TYPES_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/stddef.h>
typedef __le16 shell_le16;
typedef __le32 shell_le32;
typedef __le64 shell_le64;
#else
#include <stddef.h>
#include <stdint.h>
typedef uint16_t shell_le16;
typedef uint32_t shell_le32;
typedef uint64_t shell_le64;
#endif
typedef shell_le32 shell_f32;
typedef shell_le32 shell_sle32; /* two's complement */

#ifdef __cplusplus
#define SHELL_ASSERT(what) static_assert(what, #what)
#else
#define SHELL_ASSERT(what) _Static_assert(what, #what)
#endif
#define SHELL_SIZE(type, bytes)	     SHELL_ASSERT(sizeof(type) == (bytes))
#define SHELL_AT(type, member, byte) SHELL_ASSERT(offsetof(type, member) == (byte))

#endif
