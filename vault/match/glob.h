/* glob: what the glob matcher asks of paths. Internal to vault/match. */
#ifndef OXV_VAULT_MATCH_GLOB_H
#define OXV_VAULT_MATCH_GLOB_H

#include "base/bytes.h"

/*
 * The length of the slash or backslash at `at` (which lies inside the path), raw or encoded up to
 * twice: 1 or an escape's length, 0 where another byte stands.
 */
size_t oxv_path_separator_len(struct oxv_view path, size_t at);

/* Does the path begin with /rest/, in whatever spelling a server may take for it? */
bool oxv_path_is_rest(struct oxv_view path);

#endif
