/* Any bytes as a segment: nothing that is not signed by the key passes. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "vault/log/chain.h"
#include "vault/log/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char vkey_text[] =
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

static int
file_of(struct oxv_view bytes)
{
    int fd = memfd_create("segment", MFD_CLOEXEC);

    if (fd < 0 || oxv_write_all(fd, bytes) != OXV_OK || lseek(fd, 0, SEEK_SET) != 0) {
        abort();
    }
    return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OXV_AUTO(oxv_hasher_freep) struct oxv_hasher *hasher = oxv_hasher_new();
    OXV_AUTO(oxv_closep) int fd = file_of(oxv_view(data, size));
    OXV_AUTO(oxv_lines_freep) struct oxv_lines *lines = oxv_lines_new(fd);
    struct oxv_chain chain;
    struct oxv_chain_fault fault;
    struct oxv_vkey vkey;
    struct oxv_line line = { .kind = OXV_LINE_WHOLE };
    uint64_t offset = 0;

    if (oxv_vkey_parse(oxv_view_text(vkey_text), &vkey, NULL) != OXV_OK || lines == NULL) {
        abort();
    }
    oxv_chain_init(&chain, hasher, &vkey);
    while (line.kind != OXV_LINE_END) {
        if (oxv_lines_next(lines, &line) != OXV_OK || line.offset < offset) {
            abort();
        }
        offset = line.offset;
        if (line.kind == OXV_LINE_WHOLE && oxv_chain_feed(&chain, line.text, &fault) != OXV_OK &&
            (fault.code == NULL || fault.reason == NULL)) {
            abort();
        }
    }
    if (offset != size || chain.committed != 0) {
        abort();
    }
    return 0;
}
