/* modes: what the command asks this program to do and to print as JSON. */
#ifndef OXV_SERVICE_TOKEN_MODES_H
#define OXV_SERVICE_TOKEN_MODES_H

/* --list and --probe; returns the exit code of design 10. Errors are one line on stderr. */
int oxv_helper_mode(int argc, char **argv);

#endif
