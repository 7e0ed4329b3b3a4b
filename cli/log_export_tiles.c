/* log export --format tiles: the whole log as static files, for C2SP clients (tlog-tiles). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/command.h"
#include "cli/log_export.h"
#include "cli/log_head.h"
#include "vault/log/tile.h"

struct tiling {
    struct oxv_log_head head;
    struct oxv_hasher *hasher;
    struct oxv_tiler *tiler;
    int fd;
    struct oxv_err err;
};

static void
tiling_free(struct tiling *t)
{
    if (t != NULL) {
        oxv_tiler_free(t->tiler);
        oxv_hasher_free(t->hasher);
        oxv_closep(&t->fd);
        free(t);
    }
}

OXV_DEFINE_OWNER(tiling);

static struct tiling *
tiling_new(void)
{
    OXV_AUTO(tiling_freep) struct tiling *t = calloc(1, sizeof *t);

    if (t == NULL) {
        return NULL;
    }
    t->fd = -1;
    t->hasher = oxv_hasher_new();
    return t->hasher != NULL ? tiling_take(&t) : NULL;
}

static bool
take_entry(void *context, struct oxv_view line)
{
    struct tiling *t = context;

    return oxv_tiler_add(t->tiler, line, &t->err) == OXV_OK;
}

/* A new folder: nothing of an older tree may be left in it. */
static enum oxv_exit
begin(const struct oxv_cli *cli, const char *path, struct tiling *t)
{
    if (mkdir(path, 0700) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot make the folder %s: %s", path,
                            strerror(errno));
    }
    t->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->fd < 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot open %s: %s", path, strerror(errno));
    }
    t->tiler = oxv_tiler_new(t->fd, t->hasher, OXV_TILES_ALL);
    return t->tiler != NULL ? OXV_EXIT_DONE : oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory");
}

static enum oxv_exit
write_all(struct oxv_cli *cli, struct tiling *t)
{
    enum oxv_exit code = oxv_log_read_all(cli, &t->head, t->hasher, take_entry, t);

    /* The checkpoint comes last: a tree without one is not whole. */
    if (code == OXV_EXIT_DONE && t->err.status == OXV_OK &&
        oxv_tiler_finish(t->tiler, oxv_view_text(t->head.note), &t->err) == OXV_OK &&
        syncfs(t->fd) != 0) {
        (void)oxv_fail_errno(&t->err, "cannot sync the tiles");
    }
    return code == OXV_EXIT_DONE && t->err.status != OXV_OK ? oxv_cli_err(cli, &t->err) : code;
}

enum oxv_exit
oxv_log_export_tiles(struct oxv_cli *cli)
{
    static const char *const filters[] = { "since",  "until",   "connection",
                                           "caller", "outcome", "type" };
    const char *path = oxv_cli_option(cli, "output");
    OXV_AUTO(tiling_freep) struct tiling *t = tiling_new();

    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        if (oxv_cli_option(cli, filters[i]) != NULL) {
            return oxv_cli_usage(cli, "tiles are of the whole log: --%s does not go with them",
                                 filters[i]);
        }
    }
    if (path == NULL || strcmp(path, "-") == 0) {
        return oxv_cli_usage(cli, "tiles are many files: name a new folder by --output");
    }
    if (t == NULL) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory");
    }
    enum oxv_exit code = oxv_log_ask_head(cli, &t->head);

    code = code == OXV_EXIT_DONE ? begin(cli, path, t) : code;
    code = code == OXV_EXIT_DONE ? write_all(cli, t) : code;
    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (cli->json) {
        (void)printf("{\"entries\":%llu}\n", (unsigned long long)t->head.said.head.size);
    } else {
        (void)printf("%llu entries are in tiles below %s.\n",
                     (unsigned long long)t->head.said.head.size, path);
    }
    return OXV_EXIT_DONE;
}
