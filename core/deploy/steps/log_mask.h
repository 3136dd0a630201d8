/*
 * log_mask - a build's or an app's log line as it may be shown: what looks like a credential becomes ***.
 *
 * A log is written by a stranger's code, which prints what it likes; berth quotes it on pages, in the database and on terminals. Masked are: AWS access key ids and what
 * is assigned to a secret key or session token, GitHub, npm, Slack and Stripe tokens, JSON Web Tokens, the password in a URL, an Authorization header's value, and
 * whatever is assigned to a name that ends in password, passwd, secret, token or api key. It can't know a secret that looks like nothing: the log itself, in
 * CloudWatch Logs, is as private as its readers.
 */
#ifndef BERTH_DEPLOY_LOG_MASK_H
#define BERTH_DEPLOY_LOG_MASK_H

#include "core/base/arena.h"

/* A copy, with control characters replaced (terminal colours dropped), cut at LOG_LINE_MAX bytes. */
enum { LOG_LINE_MAX = 2048 };
const char *log_mask(struct arena *mem, const char *line);

#endif
