/* notify: what people and systemd are told. */
#ifndef OXV_SERVICE_SUPERVISOR_NOTIFY_H
#define OXV_SERVICE_SUPERVISOR_NOTIFY_H

/* One line on stderr, "oxvaultd: " before it. */
void oxv_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Sends `state` ("READY=1\nSTATUS=...") to $NOTIFY_SOCKET, sd_notify(3). Nothing where there is
 * none; what fails is said on stderr.
 */
void oxv_notify(const char *state);

#endif
