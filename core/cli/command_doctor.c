/* doctor: every check with what it found, and what to do about what isn't well. */
#include <stdio.h>

#include "core/cli/commands.h"
#include "core/doctor/doctor.h"

static const char *const marks[DOCTOR_VERDICT_COUNT] = { "ok", "WARNING", "FAILED", "skipped" };

static json_object *as_json(const struct doctor_check *check)
{
    return json_build("{s:s, s:s, s:s, s:s, s:s, s:I}", "id", check->id, "title", check->title, "verdict",
                      doctor_verdict_name(check->verdict), "told", check->told, "hint", check->hint, "took_ms",
                      check->took_ms);
}

static void print_json(const struct doctor_check *checks, size_t count, const size_t *of, bool well)
{
    json_object *rows = json_new_array();

    for (size_t i = 0; i < count; i++)
        json_append(rows, as_json(&checks[i]));
    cli_print_json(json_build("{s:b, s:I, s:I, s:I, s:I, s:o}", "well", well, "ok", (int64_t)of[DOCTOR_OK], "warnings",
                              (int64_t)of[DOCTOR_WARNING], "failed", (int64_t)of[DOCTOR_FAILED], "skipped",
                              (int64_t)of[DOCTOR_SKIPPED], "checks", rows));
}

static void print_text(struct cli *cli, const struct doctor_check *checks, size_t count, const size_t *of, bool strict)
{
    for (size_t i = 0; i < count; i++) {
        printf("%-8s %s: %s\n", marks[checks[i].verdict], checks[i].title, cli_plain(cli->mem, checks[i].told));
        if (checks[i].hint && checks[i].verdict != DOCTOR_OK)
            printf("         %s\n", cli_plain(cli->mem, checks[i].hint));
    }
    printf("\n%zu ok, %zu warnings, %zu failed, %zu skipped\n", of[DOCTOR_OK], of[DOCTOR_WARNING], of[DOCTOR_FAILED],
           of[DOCTOR_SKIPPED]);
    if (of[DOCTOR_SKIPPED] > 0)
        printf("What was skipped was not looked at, and nothing is known of it%s.\n",
               strict ? ": with --strict a failure" : "");
}

int command_doctor(struct cli *cli, int argc, char **argv, struct err *e)
{
    struct doctor_options options = { 0 };
    bool strict = false;
    const struct cli_option table[] = {
        { .name = "strict", .flag = &strict },
        { .name = "principal", .text = &options.principal },
    };
    const struct settings *settings = NULL;
    struct err unread = { 0 };
    struct doctor_check *checks = NULL;
    size_t count = 0, of[DOCTOR_VERDICT_COUNT] = { 0 };

    if (cli_parse(cli, argc, argv, table, sizeof table / sizeof *table, NULL, 0, 0, e))
        return e->code;
    cli_settings(cli, &settings, &unread); /* for the log's level; that they can't be read is a check's to tell */
    options.config_path = cli->config_path;
    if (http_curl_new("berth/" BERTH_VERSION, &cli->curl, e))
        return e->code;
    options.transport = http_curl_transport(cli->curl);
    int failure = doctor_run(&options, cli->mem, &checks, &count, e);
    cli->hasty = doctor_hangs();
    if (failure)
        return failure;
    for (size_t i = 0; i < count; i++)
        of[checks[i].verdict]++;

    bool well = doctor_passes(of, strict);
    if (cli->json)
        print_json(checks, count, of, well);
    else
        print_text(cli, checks, count, of, strict);
    return well ? 0 : (int)(e->code = ERR_INTERNAL); /* exit code 1; the checks have said why */
}
