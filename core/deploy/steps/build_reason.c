#include "core/deploy/steps/build_reason.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "core/base/text.h"
#include "core/deploy/steps/log_mask.h"
#include "core/deploy/steps/policies.h"

/* BuildKit begins each line of a step with "#8 1.023 ": the step's number and the seconds since it began. */
static const char *without_step(const char *line, int *step)
{
    int number = 0;

    *step = 0;
    if (*line != '#' || !isdigit((unsigned char)line[1]))
        return line;
    for (line++; isdigit((unsigned char)*line); line++)
        number = number < 100000 ? number * 10 + (*line - '0') : number;
    *step = number;
    line += strspn(line, " ");
    if (isdigit((unsigned char)*line)) {
        const char *rest = line + strspn(line, "0123456789.");
        if (*rest == ' ')
            line = rest + 1;
    }
    return line;
}

bool build_line_is_agents(const char *line)
{
    return text_starts(line, "[Container] ");
}

/* Lines of CodeBuild's own agent, and the frame that BuildKit draws around an excerpt. */
static bool is_frame(const char *line)
{
    return *line == '\0' || build_line_is_agents(line) || strspn(line, "-= ") == strlen(line) ||
           text_starts(line, "Dockerfile:") || text_starts(line, "> [");
}

/* The last thing that the given BuildKit step printed, before BuildKit's own word on it. */
static const char *last_of_step(const struct log_page *log, int wanted)
{
    for (size_t i = log->count; i-- > 0;) {
        int step;
        const char *line = without_step(log->lines[i].text, &step);
        if (step == wanted && *line && !text_starts(line, "ERROR") && !text_starts(line, "["))
            return line;
    }
    return NULL;
}

static int failed_step(const struct log_page *log)
{
    for (size_t i = log->count; i-- > 0;) {
        int step;
        if (text_starts(without_step(log->lines[i].text, &step), "ERROR") && step > 0)
            return step;
    }
    return 0;
}

static const char *last_meaningful(const struct log_page *log)
{
    const char *last = NULL;

    for (size_t i = log->count; i-- > 0;) {
        int step;
        const char *line = without_step(log->lines[i].text, &step);
        if (text_starts(line, "ERROR: failed to solve: "))
            return line + strlen("ERROR: failed to solve: ");
        if (text_starts(line, "ERROR: ") || text_starts(line, "berth: "))
            return strchr(line, ':') + 2;
        if (!last && !is_frame(line))
            last = line;
    }
    return last;
}

static bool lacks_dockerfile(const struct log_page *log)
{
    for (size_t i = 0; i < log->count; i++)
        if (strstr(log->lines[i].text, "failed to read dockerfile: open Dockerfile"))
            return true;
    return false;
}

static const json_object *failed_phase(const json_object *build, struct arena *mem)
{
    const json_object *phases = json_at(build, "/phases");

    for (size_t i = 0; i < json_length(phases); i++) {
        const char *status = json_find_text(json_item(phases, i), "/phaseStatus", mem);
        if (status && strcmp(status, "SUCCEEDED") != 0)
            return json_item(phases, i);
    }
    return NULL;
}

static void hint_log(const struct build_subject *subject, struct err *e, const char *what_to_do)
{
    err_hint(e, "%s `berth logs %s v%d` shows the build's whole log.", what_to_do, subject->app, subject->release);
}

/* What the failing command said: its last line, and in brackets what the tool makes of it. */
static void say_command_failed(const struct build_subject *subject, const char *phase, const struct log_page *log,
                               const char *context, struct err *e)
{
    const char *why = last_meaningful(log);
    const char *said = why && strstr(why, "did not complete successfully") ? last_of_step(log, failed_step(log)) : NULL;

    if (said)
        err_set(e, ERR_INVALID, "The build stopped in %s: %.*s (%.*s)", phase, BUILD_QUOTE_MAX, said, BUILD_QUOTE_MAX,
                why);
    else
        err_set(e, ERR_INVALID, "The build stopped in %s: %.*s", phase, BUILD_QUOTE_MAX, why ? why : context);
    hint_log(subject, e, "Run `docker build .` where you work to see the same, repair it and push again.");
}

static void say_no_dockerfile(const struct build_subject *subject, struct err *e)
{
    err_set(e, ERR_INVALID, "The build stopped: %s has no Dockerfile at its top", subject->repository);
    hint_log(subject, e, "Add a Dockerfile at the top of the repository and push again.");
}

static int say_phase(const struct build_subject *subject, const json_object *build, const struct log_page *log,
                     struct arena *mem, struct err *e)
{
    const json_object *failed = failed_phase(build, mem);
    const char *phase = json_find_text(failed, "/phaseType", mem);
    const char *code = json_find_text(failed, "/contexts/0/statusCode", mem);
    const char *raw = json_find_text(failed, "/contexts/0/message", mem);
    const char *context = raw && *raw ? log_mask(mem, raw) : "CodeBuild gave no reason";

    if (lacks_dockerfile(log))
        say_no_dockerfile(subject, e);
    else if (code && strcmp(code, "COMMAND_EXECUTION_ERROR") == 0)
        say_command_failed(subject, phase, log, context, e);
    else {
        err_set(e, ERR_INVALID, "The build stopped in %s: %.*s", phase ? phase : "an unknown phase", BUILD_QUOTE_MAX,
                context);
        hint_log(subject, e, "It did not come as far as the Dockerfile's commands.");
    }
    return e->code;
}

int build_reason(const struct build_subject *subject, const json_object *build, const struct log_page *log,
                 struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    const char *status = json_find_text(build, "/buildStatus", mem);

    if (status && strcmp(status, "TIMED_OUT") == 0) {
        err_set(e, ERR_INVALID, "The build stopped: it took longer than %d minutes", BUILD_TIMEOUT_MINUTES);
        hint_log(subject, e, "Make it shorter, or ask the operator for a larger [platform] build_compute.");
    } else if (status && strcmp(status, "STOPPED") == 0) {
        err_set(e, ERR_INVALID, "The build was stopped by somebody, in CodeBuild");
        hint_log(subject, e, "Push again to build anew.");
    } else {
        say_phase(subject, build, log, mem, e);
    }
    return e->code;
}

bool build_line_blames(const char *line)
{
    static const char *const blames[] = { "error:", "error ",       "error[", "npm err!",
                                          "fatal:", "fatal error:", "e: ",    "berth: " };
    int step;
    const char *said = without_step(line, &step);

    for (size_t i = 0; i < sizeof blames / sizeof *blames; i++)
        if (strncasecmp(said, blames[i], strlen(blames[i])) == 0)
            return true;
    return false;
}

const char *build_line_text(const char *line)
{
    int step;

    return without_step(line, &step);
}
