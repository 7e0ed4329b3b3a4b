#include "base/hook.h"

#ifdef OXV_TEST_HOOKS

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
oxv_hook(const char *name)
{
    static unsigned long arrivals;
    const char *wanted = getenv("OXV_HOOK");
    size_t len = strlen(name);

    if (wanted == NULL || strncmp(wanted, name, len) != 0 || wanted[len] != ':') {
        return 0;
    }
    const char *rest = wanted + len + 1;
    int fail = strncmp(rest, "fail:", 5) == 0;

    if (++arrivals != strtoul(fail ? rest + 5 : rest, NULL, 10)) {
        return 0;
    }
    if (fail) {
        errno = EIO;
        return -1;
    }
    (void)kill(getpid(), SIGKILL);
    return 0;
}

uint64_t
oxv_hook_number(const char *name, uint64_t usual)
{
    const char *wanted = getenv("OXV_HOOK");
    size_t len = strlen(name);

    return wanted != NULL && strncmp(wanted, name, len) == 0 && wanted[len] == ':'
               ? strtoull(wanted + len + 1, NULL, 10)
               : usual;
}

#else

/* ISO C wants a translation unit to hold something. */
typedef int oxv_hook_is_off;

#endif
