/* doors: accepts peers, asks the kernel who they are, and hands them to their frontend. */
#ifndef OXV_SERVICE_KEEPER_DOORS_H
#define OXV_SERVICE_KEEPER_DOORS_H

#include "service/keeper/keeper.h"

/* Accepts up to OXV_TURN_ACCEPTS_MAX peers of this door. True where more may be waiting. */
bool oxv_door_accept(struct oxv_keeper *k, enum oxv_door door);

#endif
