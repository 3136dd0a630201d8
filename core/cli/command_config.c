/* config: every option, with its value and where it came from. */
#include "core/cli/commands.h"

static json_object *as_json(const struct config_value *value)
{
    const struct config_option *option = value->option;

    return json_build("{s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "section", option->section, "key", option->key, "value",
                      value->text, "source", config_source_name(value->source), "line", value->line, "environment",
                      option->environment, "help", option->help);
}

static const char *origin(struct cli *cli, const struct config_value *value)
{
    if (value->source == CONFIG_FROM_FILE)
        return arena_printf(cli->mem, "%s:%d", cli->loaded.path, value->line);
    if (value->source == CONFIG_FROM_ENVIRONMENT)
        return value->option->environment;
    return value->text ? "default" : "not set";
}

int command_config(struct cli *cli, int argc, char **argv, struct err *e)
{
    const struct settings *settings = NULL;

    if (cli_parse(cli, argc, argv, NULL, 0, NULL, 0, 0, e) || cli_settings(cli, &settings, e))
        return e->code;

    const struct config_value *values = cli->loaded.values;
    if (cli->json) {
        json_object *rows = json_new_array();
        for (size_t i = 0; i < settings_count; i++)
            json_append(rows, as_json(&values[i]));
        cli_print_json(json_build("{s:s, s:o}", "file", cli->loaded.path, "options", rows));
        return 0;
    }

    const char **cells = arena_array(cli->mem, settings_count * 4, sizeof *cells);
    for (size_t i = 0; i < settings_count; i++) {
        cells[i * 4] = arena_printf(cli->mem, "%s.%s", values[i].option->section, values[i].option->key);
        cells[i * 4 + 1] = values[i].text;
        cells[i * 4 + 2] = origin(cli, &values[i]);
        cells[i * 4 + 3] = values[i].option->help;
    }
    cli_print_table((const char *[]){ "OPTION", "VALUE", "FROM", "MEANING" }, 4, cells, settings_count);
    return 0;
}
