/*
 * archive_check - looks at a zip archive as it streams by, and says at its end whether it is whole and holds files.
 *
 * It keeps the archive's first and last bytes only. A body that ends with its connection can be cut off without HTTP telling, so the zip's own end is
 * what proves it whole. Source: PKWARE's APPNOTE, 4.3.7 (local file header) and 4.3.16 (end of central directory record).
 */
#ifndef BERTH_DEPLOY_ARCHIVE_CHECK_H
#define BERTH_DEPLOY_ARCHIVE_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

enum { ARCHIVE_EDGE_MAX = 1024 }; /* room for the record, and for its comment: GitHub's is the commit */

struct archive_check {
    unsigned char head[ARCHIVE_EDGE_MAX], tail[ARCHIVE_EDGE_MAX];
    size_t head_len, tail_len;
};

void archive_check_add(struct archive_check *check, const void *bytes, size_t len);

/* ERR_TRANSIENT: cut off, or no zip at all. ERR_INVALID: no files in it. */
int archive_check_end(const struct archive_check *check, struct err *e);

#endif
