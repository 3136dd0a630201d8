# cmake -DSQL=sql -DOUT=build/generated -P embed_sql.cmake
# Each query file becomes QUERY_<NAME> with its text and shape (the word of its first comment line); each migration its
# text and SHA-256.

# Turns a file's text into C string literals, one a line (a literal has a length limit; adjacent ones join).
function(c_literal file out)
    file(READ ${file} text)
    string(REPLACE "\\" "\\\\" text "${text}")
    string(REPLACE "\"" "\\\"" text "${text}")
    string(REPLACE "\n" "\\n\"\n        \"" text "${text}")
    set(${out} "\"${text}\"" PARENT_SCOPE)
endfunction()

file(GLOB queries ${SQL}/queries/*.sql)
list(SORT queries)
set(names "")
set(table "")
foreach(file IN LISTS queries)
    get_filename_component(name ${file} NAME_WE)
    string(TOUPPER ${name} upper)
    file(STRINGS ${file} first LIMIT_COUNT 1)
    if(NOT first MATCHES "^-- (one|maybe|many|none)")
        message(FATAL_ERROR "${file}: the first line must be `-- one`, `-- maybe`, `-- many` or `-- none`")
    endif()
    string(TOUPPER ${CMAKE_MATCH_1} shape)
    c_literal(${file} literal)
    string(APPEND names "    QUERY_${upper},\n")
    string(APPEND table "    [QUERY_${upper}] = { \"${name}\", QUERY_SHAPE_${shape},\n        ${literal} },\n")
endforeach()

file(WRITE ${OUT}/queries.h.new "/* Generated from sql/queries. */
#ifndef BERTH_QUERIES_H
#define BERTH_QUERIES_H

enum query {
${names}    QUERY_COUNT
};

enum query_shape { QUERY_SHAPE_ONE, QUERY_SHAPE_MAYBE, QUERY_SHAPE_MANY, QUERY_SHAPE_NONE };

struct query_text {
    const char *name;
    enum query_shape shape;
    const char *sql;
};

extern const struct query_text query_texts[QUERY_COUNT + 1];

#endif
")
file(WRITE ${OUT}/queries.c.new "/* Generated from sql/queries. */
#include \"queries.h\"

const struct query_text query_texts[QUERY_COUNT + 1] = {
${table}    [QUERY_COUNT] = { 0 },
};
")

file(GLOB migrations ${SQL}/migrations/*.sql)
list(SORT migrations)
set(table "")
set(count 0)
foreach(file IN LISTS migrations)
    get_filename_component(name ${file} NAME_WE)
    if(NOT name MATCHES "^([0-9][0-9][0-9][0-9])_[a-z0-9_]+$")
        message(FATAL_ERROR "${file}: a migration is named NNNN_name.sql")
    endif()
    math(EXPR version "1${CMAKE_MATCH_1} - 10000")
    file(SHA256 ${file} checksum)
    c_literal(${file} literal)
    string(APPEND table "    { ${version}, \"${name}\",\n        ${literal},\n      \"${checksum}\" },\n")
    math(EXPR count "${count} + 1")
endforeach()
file(WRITE ${OUT}/migrations.c.new "/* Generated from sql/migrations. */
#include <stddef.h>

struct migration {
    int version;
    const char *name;
    const char *sql;
    char checksum[65];
};

extern const struct migration migrations_embedded[];
extern const size_t migrations_embedded_count;

const struct migration migrations_embedded[] = {
${table}    { 0, 0, 0, \"\" },
};
const size_t migrations_embedded_count = ${count};
")
foreach(file queries.h queries.c migrations.c)
    file(COPY_FILE ${OUT}/${file}.new ${OUT}/${file} ONLY_IF_DIFFERENT)
    file(TOUCH_NOCREATE ${OUT}/${file})
endforeach()
