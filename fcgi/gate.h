/*
 * gate - lets so many in at a time, in the order they came.
 *
 * For what needs much memory: large bodies, and their parsed trees.
 */
#ifndef BERTH_FCGI_GATE_H
#define BERTH_FCGI_GATE_H

#include <stdbool.h>

struct gate;

struct gate *gate_new(int room);
void gate_free(struct gate *gate); /* nobody may be inside; NULL is fine */

bool gate_enter(struct gate *gate, int timeout_ms); /* false: no room within that time */
void gate_leave(struct gate *gate);

#endif
