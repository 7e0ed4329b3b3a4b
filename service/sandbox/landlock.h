/* landlock: file access for this process by Landlock rules; the calls have no wrappers in libc. */
#ifndef OXV_SERVICE_SANDBOX_LANDLOCK_H
#define OXV_SERVICE_SANDBOX_LANDLOCK_H

#include "base/status.h"

/* The version of Landlock in this kernel, 0 where there is none. */
int oxv_landlock_abi(void);

/*
 * From now on this process works on files below `dir_fd` only (-1: on none at all): reads, writes,
 * makes, renames and removes them, executes nothing. TCP, abstract sockets and signals to processes
 * outside are refused too where the kernel knows how. Needs no_new_privs; `abi` is not 0.
 *   OXV_E_IO  the kernel refused
 */
OXV_MUST_USE enum oxv_status oxv_landlock_restrict(int abi, int dir_fd, struct oxv_err *err);

/*
 * From now on this thread and those it starts execute no file, make no device and signal no process
 * outside (the latter where the kernel knows how). Files are read and written as before. Mapping a
 * file's code, as dlopen() does, is no execution.
 *   OXV_E_IO  the kernel refused
 */
OXV_MUST_USE enum oxv_status oxv_landlock_forbid_execution(int abi, struct oxv_err *err);

#endif
