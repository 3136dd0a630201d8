#include "core/deploy/steps/archive_check.h"

#include <string.h>

enum {
    LOCAL_HEADER = 30, /* bytes before the name */
    LOCAL_NAME_LEN = 26,
    END_RECORD = 22, /* bytes before the comment */
    END_ENTRIES = 10,
    END_COMMENT_LEN = 20
};

void archive_check_add(struct archive_check *check, const void *bytes, size_t len)
{
    const unsigned char *from = bytes;
    size_t room = sizeof check->head - check->head_len;
    size_t now = len < room ? len : room;

    memcpy(check->head + check->head_len, from, now);
    check->head_len += now;

    if (len > sizeof check->tail) {
        from += len - sizeof check->tail;
        len = sizeof check->tail;
    }
    if (check->tail_len + len > sizeof check->tail) {
        size_t drop = check->tail_len + len - sizeof check->tail;
        memmove(check->tail, check->tail + drop, check->tail_len - drop);
        check->tail_len -= drop;
    }
    memcpy(check->tail + check->tail_len, from, len);
    check->tail_len += len;
}

static unsigned number_at(const unsigned char *bytes)
{
    return bytes[0] | (unsigned)bytes[1] << 8;
}

/* The record whose comment reaches exactly to the archive's end; NULL: there is none. */
static const unsigned char *end_record(const struct archive_check *check)
{
    for (size_t i = check->tail_len; i-- > 0;) {
        const unsigned char *record = check->tail + i;
        size_t left = check->tail_len - i;
        if (left >= END_RECORD && memcmp(record, "PK\5\6", 4) == 0 &&
            END_RECORD + number_at(record + END_COMMENT_LEN) == left)
            return record;
    }
    return NULL;
}

static int is_folder(const unsigned char *header, size_t len)
{
    size_t name_len = len > LOCAL_HEADER ? number_at(header + LOCAL_NAME_LEN) : 0;

    return name_len > 0 && LOCAL_HEADER + name_len <= len && header[LOCAL_HEADER + name_len - 1] == '/';
}

int archive_check_end(const struct archive_check *check, struct err *e)
{
    const unsigned char *record = end_record(check);
    unsigned entries = record ? number_at(record + END_ENTRIES) : 0;
    int begins_well = check->head_len >= 4 && (memcmp(check->head, "PK\3\4", 4) == 0 ||
                                               (entries == 0 && memcmp(check->head, "PK\5\6", 4) == 0));

    if (!record || !begins_well)
        return err_set(e, ERR_TRANSIENT, "the archive that GitHub sent is cut off, or is no zip archive");
    /* An empty commit's archive holds nothing, or the one folder that each of GitHub's archives has at its top. */
    if (entries == 0 || (entries == 1 && is_folder(check->head, check->head_len))) {
        err_set(e, ERR_INVALID, "the commit has no files");
        return err_hint(e, "Push a commit with a Dockerfile at its top.");
    }
    return 0;
}
