#include "vault/log/proof.h"

/* Leaves from `begin` on; begin is a multiple of a power of two that is no less than `count`. */
struct range {
    uint64_t begin;
    uint64_t count;
};

/* The largest power of two below `count`, which is above 1. */
static uint64_t
split(uint64_t count)
{
    return UINT64_C(1) << (63 - __builtin_clzll(count - 1));
}

/* Ends a hash of the proof: the range's root, from full subtrees, the largest first. */
static void
add_hash(struct oxv_proof_plan *plan, struct range range)
{
    for (unsigned level = OXV_TREE_MAX_LEVELS; level-- > 0;) {
        uint64_t size = UINT64_C(1) << level;

        if ((range.count & size) == 0) {
            continue;
        }
        if (plan->node_count == OXV_PROOF_MAX_NODES) {
            oxv_bug("a proof of too many subtrees");
        }
        plan->nodes[plan->node_count++] =
            (struct oxv_proof_node){ .level = level, .n = range.begin >> level };
        range.begin += size;
    }
    if (plan->hash_count == OXV_PROOF_MAX_HASHES) {
        oxv_bug("a proof of too many hashes");
    }
    plan->ends[plan->hash_count++] = plan->node_count;
}

/* The siblings on the way down, then written from the leaf up. */
struct path {
    size_t count;
    struct range ranges[OXV_PROOF_MAX_HASHES];
};

static void
push(struct path *path, struct range range)
{
    if (path->count == OXV_PROOF_MAX_HASHES) {
        oxv_bug("a path that is too long");
    }
    path->ranges[path->count++] = range;
}

/* One step down towards `index`. */
static void
descend(struct path *path, struct range *at, uint64_t index)
{
    uint64_t half = split(at->count);
    struct range left = { at->begin, half };
    struct range right = { at->begin + half, at->count - half };
    bool goes_left = index < right.begin;

    push(path, goes_left ? right : left);
    *at = goes_left ? left : right;
}

static void
add_path(struct oxv_proof_plan *plan, const struct path *path)
{
    for (size_t i = path->count; i-- > 0;) {
        add_hash(plan, path->ranges[i]);
    }
}

enum oxv_status
oxv_proof_plan_inclusion(struct oxv_proof_plan *plan, uint64_t index, uint64_t size)
{
    struct range at = { 0, size };
    struct path path = { .count = 0 };

    if (index >= size || size > OXV_PROOF_SIZE_MAX) {
        return OXV_E_USAGE;
    }
    while (at.count > 1) {
        descend(&path, &at, index);
    }
    *plan = (struct oxv_proof_plan){ .node_count = 0 };
    add_path(plan, &path);
    return OXV_OK;
}

enum oxv_status
oxv_proof_plan_consistency(struct oxv_proof_plan *plan, uint64_t old, uint64_t size)
{
    struct range at = { 0, size };
    struct path path = { .count = 0 };

    if (old == 0 || old > size || size > OXV_PROOF_SIZE_MAX) {
        return OXV_E_USAGE;
    }
    /* Down to the subtree that the old tree ends with; it is the same in both. */
    while (at.begin + at.count != old) {
        descend(&path, &at, old - 1);
    }
    *plan = (struct oxv_proof_plan){ .node_count = 0 };
    if (at.begin > 0) { /* else it is the old root, which the other side has */
        add_hash(plan, at);
    }
    add_path(plan, &path);
    return OXV_OK;
}

void
oxv_proof_plan_root(struct oxv_proof_plan *plan, uint64_t size)
{
    *plan = (struct oxv_proof_plan){ .node_count = 0 };
    add_hash(plan, (struct range){ 0, size });
}

void
oxv_proof_finish(const struct oxv_proof_plan *plan, struct oxv_hasher *hasher,
                 struct oxv_proof *out)
{
    size_t begin = 0;

    *out = (struct oxv_proof){ .count = plan->hash_count };
    for (size_t i = 0; i < plan->hash_count; i++) {
        uint8_t *hash = out->hash[i];

        for (size_t at = plan->ends[i]; at-- > begin;) {
            const struct oxv_proof_node *node = &plan->nodes[at];

            if (!node->is_known) {
                oxv_bug("a subtree of the proof was not looked up");
            }
            if (at + 1 == plan->ends[i]) {
                memcpy(hash, node->hash, OXV_HASH_BYTES);
            } else {
                oxv_hash_node(hasher, node->hash, hash, hash);
            }
        }
        begin = plan->ends[i];
    }
}

/* The number of leaves in the tree when the subtree is complete. */
static uint64_t
end_of(const struct oxv_proof_node *node)
{
    return (node->n + 1) << node->level;
}

/* Is a complete no later than b, in a pass? */
static bool
is_before(const struct oxv_proof_node *a, const struct oxv_proof_node *b)
{
    return end_of(a) < end_of(b) || (end_of(a) == end_of(b) && a->level <= b->level);
}

void
oxv_proof_pass_init(struct oxv_proof_pass *pass, struct oxv_proof_plan *plan, uint64_t begin)
{
    *pass = (struct oxv_proof_pass){ .plan = plan, .begin = begin };
    pass->tree.size = begin;
    for (size_t i = 0; i < plan->node_count; i++) {
        size_t at = i;

        while (at > 0 && !is_before(&plan->nodes[pass->order[at - 1]], &plan->nodes[i])) {
            pass->order[at] = pass->order[at - 1];
            at--;
        }
        pass->order[at] = i;
    }
    while (pass->next < plan->node_count &&
           end_of(&plan->nodes[pass->order[pass->next]]) <= begin) {
        pass->next++;
    }
}

/* A subtree is complete. */
static void
complete(struct oxv_proof_pass *pass, unsigned level, uint64_t n,
         const uint8_t hash[OXV_HASH_BYTES])
{
    while (pass->next < pass->plan->node_count) {
        struct oxv_proof_node *node = &pass->plan->nodes[pass->order[pass->next]];

        if (node->level != level || node->n != n) {
            return;
        }
        memcpy(node->hash, hash, OXV_HASH_BYTES);
        node->is_known = true;
        pass->next++; /* the same one may be needed again */
    }
}

void
oxv_proof_pass_add(struct oxv_proof_pass *pass, struct oxv_hasher *hasher, struct oxv_view leaf)
{
    struct oxv_tree *tree = &pass->tree;
    uint64_t index = tree->size;
    uint8_t carry[OXV_HASH_BYTES];
    unsigned level = 0;

    oxv_hash_leaf(hasher, leaf, carry);
    complete(pass, 0, index, carry);
    /* A subtree that began before the pass has no left half here. */
    while ((tree->size >> level & 1) != 0 && index >> (level + 1) << (level + 1) >= pass->begin) {
        oxv_hash_node(hasher, tree->hash[level], carry, carry);
        level++;
        complete(pass, level, index >> level, carry);
    }
    memcpy(tree->hash[level], carry, OXV_HASH_BYTES);
    tree->size++;
    while (pass->next < pass->plan->node_count &&
           end_of(&pass->plan->nodes[pass->order[pass->next]]) <= tree->size) {
        pass->next++; /* it reaches back before the pass */
    }
}

/* Halves the pair once, and then until `fn` is a right child or the leftmost one. */
static void
rise(uint64_t *fn, uint64_t *sn)
{
    while ((*fn & 1) == 0 && *fn != 0) {
        *fn >>= 1;
        *sn >>= 1;
    }
}

bool
oxv_proof_has_leaf(struct oxv_hasher *hasher, const struct oxv_proof *proof, uint64_t index,
                   const uint8_t leaf[OXV_HASH_BYTES], const struct oxv_proof_head *head)
{
    uint64_t fn = index;
    uint64_t sn = head->size - 1;
    uint8_t r[OXV_HASH_BYTES];

    if (index >= head->size || proof->count > OXV_PROOF_MAX_HASHES) {
        return false;
    }
    memcpy(r, leaf, sizeof r);
    for (size_t i = 0; i < proof->count; i++) {
        if (sn == 0) {
            return false;
        }
        if ((fn & 1) != 0 || fn == sn) {
            oxv_hash_node(hasher, proof->hash[i], r, r);
            rise(&fn, &sn);
        } else {
            oxv_hash_node(hasher, r, proof->hash[i], r);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && memcmp(r, head->root, sizeof r) == 0;
}

/* The walk of oxv_proof_extends() with both roots at once, from the last common subtree up. */
struct climb {
    uint64_t fn;
    uint64_t sn;
    uint8_t fr[OXV_HASH_BYTES];
    uint8_t sr[OXV_HASH_BYTES];
};

static bool
climb_step(struct climb *c, struct oxv_hasher *hasher, const uint8_t hash[OXV_HASH_BYTES])
{
    if (c->sn == 0) {
        return false;
    }
    if ((c->fn & 1) != 0 || c->fn == c->sn) {
        oxv_hash_node(hasher, hash, c->fr, c->fr);
        oxv_hash_node(hasher, hash, c->sr, c->sr);
        rise(&c->fn, &c->sn);
    } else {
        oxv_hash_node(hasher, c->sr, hash, c->sr);
    }
    c->fn >>= 1;
    c->sn >>= 1;
    return true;
}

bool
oxv_proof_extends(struct oxv_hasher *hasher, const struct oxv_proof *proof,
                  const struct oxv_proof_head *old, const struct oxv_proof_head *head)
{
    size_t at = 0;
    struct climb c = { .fn = old->size - 1, .sn = head->size - 1 };

    if (old->size == 0 || old->size > head->size || proof->count > OXV_PROOF_MAX_HASHES) {
        return false;
    }
    if (old->size == head->size) {
        return proof->count == 0 && memcmp(old->root, head->root, OXV_HASH_BYTES) == 0;
    }
    while ((c.fn & 1) != 0) {
        c.fn >>= 1;
        c.sn >>= 1;
    }
    if (proof->count == 0) {
        return false;
    }
    /* Where the old tree is one full subtree, its root is where the climb begins. */
    const uint8_t *first = c.fn == 0 ? old->root : proof->hash[at++];

    memcpy(c.fr, first, sizeof c.fr);
    memcpy(c.sr, first, sizeof c.sr);
    for (; at < proof->count; at++) {
        if (!climb_step(&c, hasher, proof->hash[at])) {
            return false;
        }
    }
    return c.sn == 0 && memcmp(c.fr, old->root, OXV_HASH_BYTES) == 0 &&
           memcmp(c.sr, head->root, OXV_HASH_BYTES) == 0;
}
