/*
 * hook: named points at which a test build can stop a process. In a build without OXV_TEST_HOOKS
 * (every build that is installed) the macro is empty and nothing of this is compiled.
 */
#ifndef OXV_BASE_HOOK_H
#define OXV_BASE_HOOK_H

#include <stdint.h>

#ifdef OXV_TEST_HOOKS
/*
 * If the environment has OXV_HOOK="<name>:<n>", the n-th arrival (from 1) at that name ends the
 * process by SIGKILL. OXV_HOOK="<name>:fail:<n>" makes the call return -1 with errno EIO instead.
 * A process has one counter for all names: it counts arrivals at whatever name OXV_HOOK has then,
 * so a process that sets OXV_HOOK anew counts on.
 */
int oxv_hook(const char *name);
/* With OXV_HOOK="<name>:<number>" that number, else the usual one: for deadlines that a test would
 * have to wait for. */
uint64_t oxv_hook_number(const char *name, uint64_t usual);
#else
#define oxv_hook(name)               0
#define oxv_hook_number(name, usual) (usual)
#endif

#endif
