/* log_export: what of `log export` is in files of its own. */
#ifndef OXV_CLI_LOG_EXPORT_H
#define OXV_CLI_LOG_EXPORT_H

#include "cli/cli.h"

/* --format tiles: a folder instead of a file. */
enum oxv_exit oxv_log_export_tiles(struct oxv_cli *cli);

#endif
