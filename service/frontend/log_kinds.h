/* log_kinds: what the types of entries are called in the words of OCSF, ECS and people. */
#ifndef OXV_SERVICE_FRONTEND_LOG_KINDS_H
#define OXV_SERVICE_FRONTEND_LOG_KINDS_H

#include "base/bytes.h"

/* Classes of OCSF. */
#define OXV_OCSF_EVENT_LOG_ACTIVITY    1008u
#define OXV_OCSF_AUTHENTICATION        3002u
#define OXV_OCSF_ENTITY_MANAGEMENT     3004u
#define OXV_OCSF_APPLICATION_LIFECYCLE 6002u
#define OXV_OCSF_API_ACTIVITY          6003u

#define OXV_OCSF_ACTIVITY_OTHER 99u

struct oxv_log_kind {
    const char *type; /* or the beginning of some, with a point at its end */
    const char *name; /* for people */
    unsigned ocsf_class;
    unsigned ocsf_activity;
    const char *ecs_category;
    const char *ecs_type;
};

/* Never NULL: what has no row of its own has that of its beginning, or the last one. */
const struct oxv_log_kind *oxv_log_kind_of(struct oxv_view type);

#endif
