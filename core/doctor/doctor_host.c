/* What this host itself says: the configuration, the pages' folder, the limit of open files. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/text.h"
#include "core/doctor/doctor_parts.h"

/* libpq's two forms: password=... (or sslpassword=...), and postgresql://user:password@host. */
bool doctor_has_password(const char *conninfo)
{
    const char *scheme = strstr(conninfo, "://");
    const char *at = scheme ? strchr(scheme, '@') : NULL;
    const char *colon = scheme ? strchr(scheme + 3, ':') : NULL;

    if (at && colon && colon < at)
        return true;
    for (const char *word = strcasestr(conninfo, "password"); word; word = strcasestr(word + 1, "password")) {
        const char *after = word + strlen("password");
        if (after[strspn(after, " \t")] == '=')
            return true;
    }
    return false;
}

static bool file_has_password(const struct loaded_settings *loaded)
{
    static const char *const logins[] = { "owner", "hooks", "worker", "admin" };

    for (size_t i = 0; i < settings_count; i++)
        for (size_t l = 0; l < sizeof logins / sizeof *logins; l++)
            if (loaded->values[i].source == CONFIG_FROM_FILE && settings_table[i].type == CONFIG_SECRET &&
                !strcmp(settings_table[i].section, "database") && !strcmp(settings_table[i].key, logins[l]) &&
                doctor_has_password(doctor_conninfo(&loaded->settings, logins[l])))
                return true;
    return false;
}

static void tell_of_configuration(struct look *look, const struct loaded_settings *loaded)
{
    size_t from[CONFIG_SOURCE_COUNT] = { 0 };
    struct stat file = { 0 };

    for (size_t i = 0; i < settings_count; i++)
        from[loaded->values[i].source]++;
    if (loaded->path && stat(loaded->path, &file) == 0 && (file.st_mode & S_IROTH) && file_has_password(loaded)) {
        doctor_tell(look, DOCTOR_WARNING,
                    "%s holds a database password, and everybody on this host may read it (mode %03o).", loaded->path,
                    (unsigned)(file.st_mode & 0777));
        doctor_advise(
            look,
            "chmod o= %s and give it a group that berth's users are in; or name a passfile= in the connection "
            "strings instead.",
            loaded->path);
        return;
    }
    doctor_tell(look, DOCTOR_OK, "%s: %zu options from the file, %zu from the environment.",
                loaded->path ? loaded->path : "No file", from[CONFIG_FROM_FILE], from[CONFIG_FROM_ENVIRONMENT]);
}

void look_configuration(struct look *look)
{
    struct loaded_settings loaded = { 0 };
    struct err e = { 0 };

    if (settings_load(look->doctor->options.config_path, look->mem, &loaded, &e)) {
        doctor_tell_err(look, DOCTOR_FAILED, &e);
        return;
    }
    look->loaded = loaded;
    if (settings_require_platform(&loaded.settings, &e))
        doctor_tell_err(look, DOCTOR_FAILED, &e);
    else
        tell_of_configuration(look, &loaded);
}

/* Counts the pages in a folder that can be read, and names those that can't. */
static size_t count_pages(DIR *folder, const char *path, struct arena *mem, struct buf *unreadable)
{
    const struct dirent *entry;
    size_t count = 0;

    while ((entry = readdir(folder))) {
        if (!text_ends(entry->d_name, ".html"))
            continue;
        if (access(arena_printf(mem, "%s/%s", path, entry->d_name), R_OK) == 0)
            count++;
        else
            buf_printf(unreadable, "%s%s", unreadable->len ? ", " : "", entry->d_name);
    }
    return count;
}

void look_pages(struct look *look)
{
    static const char advice[] = "Install berth's folder www there (cp -r www/. %s/), or correct [admin] www.";
    const struct settings *settings = doctor_settings(look);
    AUTO_BUF struct buf unreadable = { 0 };
    DIR *folder = opendir(settings->www);
    size_t pages = folder ? count_pages(folder, settings->www, look->mem, &unreadable) : 0;

    if (!folder) {
        doctor_tell(look, DOCTOR_FAILED, "The folder of the pages, %s, can't be read: %s.", settings->www,
                    strerror(errno));
        doctor_advise(look, advice, settings->www);
        return;
    }
    closedir(folder);
    if (pages == 0 || unreadable.len > 0) {
        doctor_tell(look, DOCTOR_FAILED, "%s has %zu pages that can be read%s%s.", settings->www, pages,
                    unreadable.len ? "; not these: " : "", buf_text(&unreadable));
        doctor_advise(look, advice, settings->www);
    } else if (settings->admin_operators.count == 0) {
        doctor_tell(look, DOCTOR_WARNING, "%s has %zu pages, but [admin] operators names nobody who may use them.",
                    settings->www, pages);
        doctor_advise(look, "Name those who may, as the web server signs them in: operators = mara.");
    } else {
        doctor_tell(look, DOCTOR_OK, "%s has %zu pages; operators: %zu.", settings->www, pages,
                    settings->admin_operators.count);
    }
}

/* As berth-fcgi reckons when it starts; libfcgi uses select, so no limit helps beyond FD_SETSIZE. */
void look_open_files(struct look *look)
{
    enum { SPARE = 64 };
    const struct settings *settings = doctor_settings(look);
    int64_t threads =
        settings->hooks_threads > settings->admin_threads ? settings->hooks_threads : settings->admin_threads;
    int64_t needed = threads + settings->database_connections + SPARE;
    struct rlimit limit = { .rlim_max = FD_SETSIZE };
    int64_t most;

    getrlimit(RLIMIT_NOFILE, &limit);
    most = limit.rlim_cur < FD_SETSIZE ? (int64_t)limit.rlim_cur : FD_SETSIZE;
    if (needed <= most) {
        doctor_tell(look, DOCTOR_OK, "A responder opens %lld files at most, of %lld.", (long long)needed,
                    (long long)most);
        return;
    }
    doctor_tell(look, needed > FD_SETSIZE ? DOCTOR_FAILED : DOCTOR_WARNING,
                "%lld threads, %lld database connections and %d to spare are more than the %lld files that %s.",
                (long long)threads, (long long)settings->database_connections, SPARE, (long long)most,
                needed > FD_SETSIZE ? "libfcgi can use" : "a process started from here may open");
    doctor_advise(look,
                  "Lower [hooks] threads or [database] connections, or raise the limit of open files (LimitNOFILE= "
                  "of the units, ulimit -n) up to %d.",
                  FD_SETSIZE);
}
