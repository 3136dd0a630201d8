/*
 * reconcile_parts - what the files of reconcile share.
 *
 * Private to core/deploy/reconcile*.c.
 */
#ifndef BERTH_DEPLOY_RECONCILE_PARTS_H
#define BERTH_DEPLOY_RECONCILE_PARTS_H

#include "core/deploy/estate/reconcile.h"
#include "core/deploy/release.h"
#include "core/deploy/summary.h"
#include "core/tenant/app.h"

/* An app as berth knows it. */
struct reconcile_subject {
    struct app app; /* as what is live runs it */
    const struct resource_row *rows;
    size_t row_count;
    struct deployment live;
    const char *slot_listener; /* NULL: it has no slot */
    int slot_priority;
};

void finding_add(struct estate_place *place, struct findings *out, const struct finding *finding);

/* How a thing differs from what berth made: adds a finding for each difference. */
int drift_find(struct estate_place *place, const struct reconcile_subject *subject, const struct estate_thing *thing,
               const struct resource_row *row, struct findings *out, struct err *e);

/* The listeners' priorities against the slots. */
int slots_compare(struct db *db, struct estate_place *place, const char *only, struct findings *out, struct err *e);

/* What a kind in the table resources is; ESTATE_KIND_COUNT: nothing known. */
enum estate_kind estate_kind_of_resource(const char *resource);
const struct resource_row *subject_row(const struct reconcile_subject *subject, const char *kind);

#endif
