/*
 * manifest: what an export is, in a file beside it: FILE.manifest.json, one JSON object.
 *
 *   manifest       1
 *   file, format   the export's name, without folder; jsonl, csv, ...
 *   filters, made  what was selected, and when
 *   entries        how many; then also first and last, their indexes
 *   bytes, sha256  of the export
 *   checkpoint     the log's newest signed note when the export was complete
 *   origin, size, root  what that note says
 *
 * The rest is signed by nobody: what it says of the log is checked against the log.
 */
#ifndef OXV_CLI_MANIFEST_H
#define OXV_CLI_MANIFEST_H

#include "base/text.h"
#include "cli/cli.h"
#include "vault/log/log.h"

#define OXV_MANIFEST_SUFFIX    ".manifest.json"
#define OXV_MANIFEST_MAX_BYTES 65536u

struct oxv_manifest {
    char file[1024]; /* without folder */
    char format[16];
    uint64_t entries;
    uint64_t first; /* first and last only where there are entries */
    uint64_t last;
    uint64_t bytes;
    uint8_t sha256[32];
    char origin[128];
    uint64_t size;
    uint8_t root[32];
    char checkpoint[OXV_LOG_CHECKPOINT_MAX_BYTES + 1];
};

/* `filters` is a JSON object. */
void oxv_manifest_write(struct oxv_writer *w, const struct oxv_manifest *manifest,
                        struct oxv_view filters);
/*
 *   OXV_E_FORMAT  it is none: *err says why
 */
OXV_MUST_USE enum oxv_status oxv_manifest_read(struct oxv_view text, struct oxv_manifest *out,
                                               struct oxv_err *err);

/* The filters of the command line as a JSON object. */
void oxv_manifest_write_filters(const struct oxv_cli *cli, struct oxv_writer *w);

/* The index of the entry that a record of that format is about. */
OXV_MUST_USE bool oxv_manifest_seq(const char *format, struct oxv_view record, uint64_t *seq);

/* The newest checkpoint of the log, and what it says; the question is an entry of the log. */
enum oxv_exit oxv_manifest_ask_log(struct oxv_cli *cli, struct oxv_manifest *manifest);

/* log verify --manifest: the export against its manifest, and with --key against the log. */
enum oxv_exit oxv_manifest_verify(const struct oxv_cli *cli, const char *path);

#endif
