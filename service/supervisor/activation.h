/* activation: listening sockets that systemd made and hands over, sd_listen_fds(3). */
#ifndef OXV_SERVICE_SUPERVISOR_ACTIVATION_H
#define OXV_SERVICE_SUPERVISOR_ACTIVATION_H

#include "base/status.h"
#include "service/wire/messages.h"

/*
 * Fills fds[door] for each socket named sign, admin or audit (FileDescriptorName=), O_CLOEXEC, and
 * leaves the others as they are. Removes the variables from the environment.
 *   OXV_E_USAGE  a descriptor has another name, is there twice, or is no listening Unix socket
 */
OXV_MUST_USE enum oxv_status oxv_activation_take(int fds[OXV_DOOR_END], struct oxv_err *err);

#endif
