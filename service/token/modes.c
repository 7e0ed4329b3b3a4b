#include "service/token/modes.h"

#include <stdio.h>

int
oxv_helper_mode(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)fputs("oxvault-token is started by oxvaultd, see oxvaultd(8)\n", stderr);
    return 2;
}
