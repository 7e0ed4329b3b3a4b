/* cleanup: release at scope exit, and moves (style.md, "Ownership and cleanup"). */
#ifndef OXV_BASE_CLEANUP_H
#define OXV_BASE_CLEANUP_H

#include <stddef.h>

/* Runs fn(&var) when the variable leaves scope. Initialise it where it is declared. */
#define OXV_AUTO(fn) __attribute__((cleanup(fn)))

/* Gives an opaque type with a T_free() its scope-exit hook and its move. */
#define OXV_DEFINE_OWNER(T)                                                                        \
    static inline void T##_freep(struct T **p)                                                     \
    {                                                                                              \
        T##_free(*p);                                                                              \
        *p = NULL;                                                                                 \
    }                                                                                              \
    static inline struct T *T##_take(struct T **p)                                                 \
    {                                                                                              \
        struct T *moved = *p;                                                                      \
        *p = NULL;                                                                                 \
        return moved;                                                                              \
    }                                                                                              \
    struct T /* takes the semicolon */

#endif
