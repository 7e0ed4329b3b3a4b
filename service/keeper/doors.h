/* doors: accepts peers, asks the kernel who they are, and hands them to their frontend. */
#ifndef OXV_SERVICE_KEEPER_DOORS_H
#define OXV_SERVICE_KEEPER_DOORS_H

#include "service/keeper/keeper.h"

#define OXV_DOORS_REST_US 100000u

/*
 * Accepts up to OXV_TURN_ACCEPTS_MAX peers of this door. Where descriptors or memory run out, all
 * doors rest for OXV_DOORS_REST_US: the listen queues keep the peers.
 */
void oxv_door_accept(struct oxv_keeper *k, enum oxv_door door);

#endif
