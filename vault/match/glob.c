#include "vault/match/glob.h"

#include "signer/chars.h"
#include "signer/percent.h"
#include "vault/match/match.h"

/*
 * The glob as a machine that reads the path once. State i: the first i literals are matched. Bit i
 * of `states` says that the machine may be in state i; all states move in one shift.
 */
#define WORD_BITS 64u
#define WORDS_MAX (OXV_GLOB_MAX_BYTES / WORD_BITS + 1)

struct machine {
    size_t literals;
    size_t words; /* in use */
    uint64_t states[WORDS_MAX];
    uint64_t star[WORDS_MAX];      /* states that stay at any byte but a separator's */
    uint64_t star_star[WORDS_MAX]; /* states that stay at any byte */
    bool known[128];               /* bytes that the glob has */
    uint64_t next[128][WORDS_MAX]; /* for a known byte: the states that it leads on from */
};

static void
set_bit(uint64_t *words, size_t bit)
{
    words[bit / WORD_BITS] |= UINT64_C(1) << (bit % WORD_BITS);
}

static bool
get_bit(const uint64_t *words, size_t bit)
{
    return (words[bit / WORD_BITS] >> (bit % WORD_BITS) & 1) != 0;
}

static bool
refuse(struct oxv_syntax_error *where, size_t offset, const char *reason)
{
    (void)oxv_refuse(where, OXV_E_FORMAT, offset,
                     reason); /* the status is for those who have one */
    return false;
}

bool
oxv_path_glob_valid(struct oxv_view glob, struct oxv_syntax_error *where)
{
    uint8_t byte;
    size_t stars = 0;

    if (glob.len == 0 || glob.data[0] != '/') {
        return refuse(where, 0, "a path begins with /");
    }
    if (glob.len > OXV_GLOB_MAX_BYTES) {
        return refuse(where, OXV_GLOB_MAX_BYTES, "the path is too long");
    }
    for (size_t i = 0; i < glob.len; i++) {
        if (glob.data[i] == '%' && !oxv_percent_escape(glob, i, &byte)) {
            return refuse(where, i, "a % without two hex digits");
        }
        if (glob.data[i] != '%' && !oxv_char_is(glob.data[i], OXV_CHAR_PATH)) {
            return refuse(where, i, "a byte that a path cannot have here: percent-encode it");
        }
        stars = glob.data[i] == '*' ? stars + 1 : 0;
        if (stars == 3) {
            return refuse(where, i, "three * in a row");
        }
    }
    return oxv_path_check(glob, where) == OXV_OK;
}

static void
add_literal(struct machine *m, uint8_t byte)
{
    if (!m->known[byte]) {
        m->known[byte] = true;
        memset(m->next[byte], 0, m->words * sizeof m->next[byte][0]);
    }
    set_bit(m->next[byte], m->literals);
    m->literals++;
}

/* `glob` is valid: ASCII, at most OXV_GLOB_MAX_BYTES. */
static void
machine_init(struct machine *m, struct oxv_view glob)
{
    m->literals = 0;
    m->words = glob.len / WORD_BITS + 1;
    memset(m->states, 0, sizeof m->states);
    memset(m->star, 0, sizeof m->star);
    memset(m->star_star, 0, sizeof m->star_star);
    memset(m->known, 0, sizeof m->known); /* `next` is cleared only where it is used */
    set_bit(m->states, 0);
    for (size_t i = 0; i < glob.len; i++) {
        if (glob.data[i] != '*') {
            add_literal(m, glob.data[i]);
        } else if (i > 0 && glob.data[i - 1] == '*') {
            set_bit(m->star_star, m->literals);
        } else {
            set_bit(m->star, m->literals);
        }
    }
}

/* Reads one byte. False where no state is left. */
static bool
machine_step(struct machine *m, uint8_t byte, bool separator)
{
    bool known = byte < sizeof m->known && m->known[byte];
    uint64_t carry = 0;
    uint64_t any = 0;

    for (size_t i = 0; i < m->words; i++) {
        uint64_t moving = known ? m->states[i] & m->next[byte][i] : 0;
        uint64_t staying = m->star_star[i] | (separator ? 0 : m->star[i]);

        m->states[i] = moving << 1 | carry | (m->states[i] & staying);
        carry = moving >> (WORD_BITS - 1);
        any |= m->states[i];
    }
    return any != 0;
}

static bool
machine_run(struct machine *m, struct oxv_view path)
{
    size_t separator_end = 0;

    for (size_t i = 0; i < path.len; i++) {
        if (i >= separator_end) {
            separator_end = i + oxv_path_separator_len(path, i);
        }
        if (!machine_step(m, path.data[i], i < separator_end)) {
            return false;
        }
    }
    return get_bit(m->states, m->literals);
}

/* Everything before the first `*`. */
static size_t
literal_prefix_len(struct oxv_view glob)
{
    const uint8_t *star = memchr(glob.data, '*', glob.len);

    return star == NULL ? glob.len : (size_t)(star - glob.data);
}

bool
oxv_path_glob_match(struct oxv_view glob, struct oxv_view path)
{
    struct machine m;

    if (!oxv_path_glob_valid(glob, NULL)) {
        return false;
    }
    size_t prefix = literal_prefix_len(glob);

    if (path.len < prefix || memcmp(glob.data, path.data, prefix) != 0) {
        return false;
    }
    if (prefix == glob.len) {
        return path.len == prefix;
    }
    if (oxv_path_check(path, NULL) != OXV_OK || oxv_path_is_rest(path)) {
        return false;
    }
    if (oxv_view_is(oxv_view_from(glob, prefix), "**")) {
        return true;
    }
    machine_init(&m, glob);
    return machine_run(&m, path);
}
