/* pins: the PINs of tokens, as descriptors for the keeper. Nothing is read here, see source.h. */
#ifndef OXV_SERVICE_SUPERVISOR_PINS_H
#define OXV_SERVICE_SUPERVISOR_PINS_H

#include "service/supervisor/source.h"
#include "service/supervisor/supervisor.h"

/* All that were given. Begin with zeroes; release with oxv_pins_done(). */
struct oxv_pins {
    struct oxv_pin_given {
        struct oxv_view label; /* empty: of any token */
        const char *path;      /* for messages */
        int fd;
    } list[OXV_PIN_FILES_MAX + 1]; /* and a descriptor or credential */
    size_t count;
    char name[OXV_SOURCE_PATH_MAX_BYTES]; /* of that */
};

/*
 * Opens them. Files are opened anew for each keeper, a descriptor gives to the first one only; what
 * a replacement cannot be given is said on stderr.
 *   OXV_E_DENIED, OXV_E_IO  as oxv_open_secret_file(), for the first keeper
 */
OXV_MUST_USE enum oxv_status oxv_pins_open(const struct oxv_supervisor *s, struct oxv_pins *pins,
                                           struct oxv_err *err);
/* Sends each as a PIN message; the descriptors are moved. What oxv_channel_put_fds() returns. */
OXV_MUST_USE enum oxv_status oxv_pins_send(struct oxv_supervisor *s, struct oxv_pins *pins,
                                           struct oxv_err *err);
/* Closes what was not sent. */
void oxv_pins_done(struct oxv_pins *pins);

#endif
