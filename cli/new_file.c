#include "cli/new_file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

/* What a signal removes: no text, no file. Written before the file is there, so whole by then. */
static char temporary[OXV_NEW_FILE_PATH_BYTES];
static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

#define SIGNALS (sizeof signals / sizeof signals[0])

static void
remove_and_end(int number)
{
    (void)unlink(temporary);
    (void)raise(number); /* comes when this returns, to its default again */
}

/* A signal that is ignored, as under nohup, stays so. */
static void
watch(void (*handler)(int))
{
    for (size_t i = 0; i < SIGNALS; i++) {
        const struct sigaction wanted = { .sa_handler = handler, .sa_flags = (int)SA_RESETHAND };
        struct sigaction before;

        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
            (void)sigaction(signals[i], &wanted, NULL); /* these numbers are good */
        }
    }
}

enum oxv_status
oxv_new_file_open(const char *path, struct oxv_new_file *file, struct oxv_err *err)
{
    if (oxv_format(temporary, sizeof temporary, "%s.oxvault-tmp-%d", path, (int)getpid()) !=
        OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "the file name %s is too long", path);
    }
    file->path = path;
    watch(remove_and_end); /* before it is there, so that none gets by */
    file->fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->fd < 0) {
        watch(SIG_DFL);
        return oxv_fail_errno(err, "cannot make %s", temporary);
    }
    return fchmod(file->fd, 0600) == 0 ? OXV_OK : oxv_fail_errno(err, "cannot make %s", temporary);
}

enum oxv_status
oxv_new_file_commit(struct oxv_new_file *file, struct oxv_err *err)
{
    if (fsync(file->fd) != 0 || rename(temporary, file->path) != 0) {
        return oxv_fail_errno(err, "cannot write %s", file->path);
    }
    watch(SIG_DFL);
    oxv_closep(&file->fd);
    return oxv_sync_parent(file->path, err);
}

void
oxv_new_file_done(struct oxv_new_file *file)
{
    if (file->fd >= 0) {
        (void)unlink(temporary); /* whatever went wrong was told */
        watch(SIG_DFL);
        oxv_closep(&file->fd);
    }
}
