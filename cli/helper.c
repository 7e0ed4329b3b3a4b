#include "cli/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "base/token_environment.h"
#include "cli/spawn.h"

#define PROGRAM          "oxvault-token"
#define USER             "oxvault-token"
#define ARGUMENTS_MAX    16u
#define ANSWER_MAX_BYTES (4u * 1024u * 1024u)
#define PIECE_BYTES      16384u
#define END_MAX_MS       2000

/* What each start needs. */
struct setting {
    char path[PATH_MAX];
    char *environment[OXV_TOKEN_ENVIRONMENT_MAX + 3];
    struct oxv_spawn_user user;
};

static enum oxv_exit
prepare(const struct oxv_cli *cli, struct setting *setting)
{
    static char no_config[] = "OPENSSL_CONF=/dev/null";
    size_t count = oxv_token_environment(setting->environment);

    setting->environment[count++] = no_config;
    setting->environment[count] = NULL;
    enum oxv_exit code = oxv_spawn_find(cli, PROGRAM, setting->path, sizeof setting->path);

    return code == OXV_EXIT_DONE ? oxv_spawn_find_user(cli, USER, &setting->user) : code;
}

enum oxv_exit
oxv_helper_start(const struct oxv_cli *cli, struct oxv_helper_process *out)
{
    struct setting setting;
    int ends[2];
    const char *arguments[] = { PROGRAM, NULL };
    enum oxv_exit code = prepare(cli, &setting);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot make a channel: %s", strerror(errno));
    }
    const struct oxv_spawn spawn = { .path = setting.path,
                                     .arguments = arguments,
                                     .environment = setting.environment,
                                     .fds = { ends[1], -1, -1 },
                                     .output = -1,
                                     .dies_with_us = true,
                                     .user = setting.user };

    code = oxv_spawn_start(cli, &spawn, &out->pid);
    oxv_closep(&ends[1]);
    if (code != OXV_EXIT_DONE) {
        oxv_closep(&ends[0]);
        return code;
    }
    out->channel = ends[0];
    return OXV_EXIT_DONE;
}

/* Without its channel it ends by itself, where its module lets it. */
static void
wait_for_end(pid_t pid)
{
    OXV_AUTO(oxv_closep) int fd = pidfd_open(pid, 0);
    struct pollfd ended = { .fd = fd, .events = POLLIN };

    if (fd >= 0) {
        (void)poll(&ended, 1, END_MAX_MS); /* whatever comes of it */
    }
}

void
oxv_helper_end(struct oxv_helper_process *helper)
{
    oxv_closep(&helper->channel);
    if (helper->pid > 0) {
        wait_for_end(helper->pid);
        (void)kill(helper->pid, SIGKILL); /* it is not reaped yet, so the pid is still its own */
        (void)waitpid(helper->pid, NULL, 0);
        helper->pid = 0;
    }
}

static enum oxv_exit
collect(const struct oxv_cli *cli, int fd, struct oxv_buffer *answer)
{
    uint8_t piece[PIECE_BYTES];

    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);

        if (n == 0) {
            return OXV_EXIT_DONE;
        }
        if (n < 0 && errno != EINTR) {
            return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot read what %s prints: %s", PROGRAM,
                                strerror(errno));
        }
        if (n > 0 && !oxv_buffer_add(answer, oxv_view(piece, (size_t)n), ANSWER_MAX_BYTES)) {
            return oxv_cli_fail(cli, OXV_EXIT_FAILED, "%s prints too much", PROGRAM);
        }
    }
}

static enum oxv_exit
check_answer(const struct oxv_cli *cli, struct oxv_buffer *answer)
{
    struct oxv_json_fault fault = { 0 };

    while (answer->len > 0 && answer->data[answer->len - 1] == '\n') {
        answer->len--;
    }
    if (oxv_json_check(oxv_buffer_view(answer), &fault) != OXV_OK) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "what %s prints is not good JSON: %s at byte %zu",
                            PROGRAM, fault.reason, fault.offset);
    }
    return OXV_EXIT_DONE;
}

enum oxv_exit
oxv_helper_run(const struct oxv_cli *cli, const char *const *arguments, int pin_fd,
               struct oxv_buffer *answer)
{
    struct setting setting;
    const char *argv[ARGUMENTS_MAX] = { PROGRAM };
    int ends[2];
    pid_t pid = 0;
    enum oxv_exit code = prepare(cli, &setting);

    if (code != OXV_EXIT_DONE) {
        return code;
    }
    for (size_t i = 0; arguments[i] != NULL && i + 2 < ARGUMENTS_MAX; i++) {
        argv[i + 1] = arguments[i];
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "cannot make a pipe: %s", strerror(errno));
    }
    const struct oxv_spawn spawn = { .path = setting.path,
                                     .arguments = argv,
                                     .environment = setting.environment,
                                     .fds = { pin_fd, -1, -1 },
                                     .output = ends[1],
                                     .dies_with_us = true,
                                     .user = setting.user };

    code = oxv_spawn_start(cli, &spawn, &pid);
    oxv_closep(&ends[1]);
    if (code == OXV_EXIT_DONE) {
        enum oxv_exit read_code = collect(cli, ends[0], answer);

        oxv_closep(&ends[0]); /* so that one who prints on and on ends too */
        code = oxv_spawn_wait(cli, &spawn, pid);
        code = code == OXV_EXIT_DONE ? read_code : code;
    }
    oxv_closep(&ends[0]);
    return code == OXV_EXIT_DONE ? check_answer(cli, answer) : code;
}
