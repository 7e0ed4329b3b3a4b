/*
 * doctor: asks the kernel, it does not just claim. Every secret's pages are looked up in
 * /proc/self/smaps (opened before the sandbox) for VmFlags lo (locked) and dd (not in core files).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/hook.h"
#include "base/text.h"
#include "service/keeper/health.h"

#define SMAPS_MAX_BYTES (8u * 1024u * 1024u)

struct smaps {
    char *text; /* NUL-terminated */
};

static void
smaps_done(struct smaps *s)
{
    free(s->text);
    s->text = NULL;
}

static bool
read_smaps(int fd, struct smaps *out)
{
    size_t len = 0;

    out->text = malloc(SMAPS_MAX_BYTES);
    if (out->text == NULL || fd < 0 || lseek(fd, 0, SEEK_SET) != 0) {
        return false;
    }
    while (len < SMAPS_MAX_BYTES - 1) {
        ssize_t n = read(fd, out->text + len, SMAPS_MAX_BYTES - 1 - len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    out->text[len] = '\0';
    return len > 0;
}

struct page_check {
    const char *smaps;
    size_t secrets;
    size_t unlocked;
    size_t dumpable;
    size_t unknown;
};

/* The header line "begin-end perms ..." of the mapping that holds `address`. */
static const char *
find_mapping(const char *smaps, uintptr_t address)
{
    const char *line = smaps;

    while (line != NULL && *line != '\0') {
        unsigned long long begin;
        unsigned long long end;
        char permissions[8];

        if (sscanf(line, "%llx-%llx %7s", &begin, &end, permissions) == 3 && begin <= address &&
            address < end) {
            return line;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return NULL;
}

static bool
has_flag(const char *mapping, const char *flag)
{
    const char *flags = strstr(mapping, "VmFlags:");

    if (flags == NULL) {
        return false;
    }
    size_t line_len = strcspn(flags, "\n");
    const char *found = strstr(flags, flag);

    return found != NULL && (size_t)(found - flags) < line_len;
}

static bool
check_pages(void *ctx, uintptr_t begin, uintptr_t end)
{
    struct page_check *check = ctx;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    check->secrets++;
    for (uintptr_t at = begin; at < end; at += page) {
        const char *mapping = find_mapping(check->smaps, at);

        if (mapping == NULL) {
            check->unknown++;
        } else {
            check->unlocked += has_flag(mapping, " lo") ? 0 : 1;
            check->dumpable += has_flag(mapping, " dd") ? 0 : 1;
        }
    }
    return true;
}

static void
write_check(struct oxv_writer *doc, const char *name, bool ok, const char *detail, bool *all_ok)
{
    oxv_doc_object(doc, NULL);
    oxv_doc_cstring(doc, "name", name);
    oxv_doc_bool(doc, "ok", ok);
    oxv_doc_cstring(doc, "detail", detail);
    oxv_doc_end(doc);
    *all_ok = *all_ok && ok;
}

static void
check_memory(const struct oxv_keeper *k, struct oxv_writer *doc, bool *all_ok)
{
    OXV_AUTO(smaps_done) struct smaps smaps = { 0 };
    struct page_check check = { 0 };
    char detail[160];

    if (!read_smaps(k->smaps_fd, &smaps)) {
        write_check(doc, "memory locked", false, "/proc/self/smaps cannot be read", all_ok);
        return;
    }
    check.smaps = smaps.text;
    oxv_secret_each(check_pages, &check);
    if (oxv_format(detail, sizeof detail,
                   "%zu secrets in %s memory, %zu pages not locked, %zu not found in smaps",
                   check.secrets, oxv_secret_memory_name(oxv_secret_memory_used()), check.unlocked,
                   check.unknown) != OXV_OK) {
        oxv_bug("a check does not fit");
    }
    write_check(doc, "memory locked",
                check.secrets > 0 && check.unlocked == 0 && check.unknown == 0, detail, all_ok);
    if (oxv_format(detail, sizeof detail, "%zu pages of secrets would be in a core file",
                   check.dumpable) != OXV_OK) {
        oxv_bug("a check does not fit");
    }
    write_check(doc, "memory not in core files", check.secrets > 0 && check.dumpable == 0, detail,
                all_ok);
}

static void
check_process(const struct oxv_keeper *k, struct oxv_writer *doc, bool *all_ok)
{
    struct rlimit core = { .rlim_cur = 1 };

    write_check(doc, "no core files", getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0,
                "RLIMIT_CORE is 0 and cannot be raised", all_ok);
    write_check(doc, "not dumpable", k->sandbox.not_dumpable,
                "no process of the same user can read the keeper's memory", all_ok);
    write_check(doc, "no new privileges", k->sandbox.no_new_privs, "PR_SET_NO_NEW_PRIVS", all_ok);
    write_check(doc, "system calls", k->sandbox.seccomp,
                k->sandbox.seccomp ? "seccomp: no network, no exec, no ptrace" : k->sandbox.detail,
                all_ok);
    write_check(doc, "files", k->sandbox.landlock,
                k->sandbox.landlock ? "Landlock: only below the vault's directory"
                                    : k->sandbox.detail,
                all_ok);
}

static void
check_log(const struct oxv_keeper *k, struct oxv_writer *doc, bool *all_ok)
{
    if (k->log == NULL) {
        return;
    }
    write_check(doc, "access log writable", !oxv_log_is_broken(k->log),
                oxv_log_is_broken(k->log) ? "a write or sync failed: nothing is signed"
                                          : "every answer so far was preceded by its entry",
                all_ok);
}

/* A test makes doctor find a page that is not locked: a check that cannot fail is none. */
static void
unlock_page_for_test(void)
{
    static struct oxv_secret *victim = NULL;

    if (oxv_hook("doctor.unlock_page") == 0 || victim != NULL) {
        return;
    }
    victim = oxv_secret_new(64);
    if (victim == NULL || munlock(oxv_secret_bytes(victim), 64) != 0) {
        oxv_bug("the test page cannot be unlocked");
    }
}

void
oxv_doctor_request(struct oxv_keeper *k, const struct oxv_request *request)
{
    struct oxv_writer doc = oxv_answer_begin(k);
    bool all_ok = true;

    unlock_page_for_test();
    oxv_doc_object(&doc, NULL);
    oxv_doc_list(&doc, "checks");
    check_memory(k, &doc, &all_ok);
    check_process(k, &doc, &all_ok);
    check_log(k, &doc, &all_ok);
    oxv_doc_end(&doc);
    oxv_doc_bool(&doc, "ok", all_ok);
    oxv_doc_end(&doc);
    oxv_answer_unlogged(k, &request->reply, &doc);
}
