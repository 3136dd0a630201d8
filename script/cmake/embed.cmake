# Embeds sql/queries/*.sql (as enum query and a table) and sql/migrations/*.sql (as migrations_embedded).
function(embed_sql target)
    set(out ${CMAKE_BINARY_DIR}/generated)
    file(GLOB queries CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sql/queries/*.sql)
    file(GLOB migrations CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sql/migrations/*.sql)
    add_custom_command(
        OUTPUT ${out}/queries.h ${out}/queries.c ${out}/migrations.c
        COMMAND ${CMAKE_COMMAND} -DSQL=${CMAKE_SOURCE_DIR}/sql -DOUT=${out} -P ${CMAKE_SOURCE_DIR}/script/cmake/embed_sql.cmake
        DEPENDS ${queries} ${migrations} ${CMAKE_SOURCE_DIR}/script/cmake/embed_sql.cmake
        COMMENT "Embedding sql/")
    add_library(${target} STATIC ${out}/queries.c ${out}/migrations.c)
    target_include_directories(${target} PUBLIC ${out})
    target_link_libraries(${target} PUBLIC berth_base berth_flags)
endfunction()
