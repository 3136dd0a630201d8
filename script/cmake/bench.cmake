# What script/bench measures with. Not part of a build unless asked for: cmake --build build --target bench_load bench_bare
add_executable(bench_load EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/bench/load.c)
target_link_libraries(bench_load PRIVATE berth_base)
add_executable(bench_bare EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/bench/bare_responder.c)
target_link_libraries(bench_bare PRIVATE berth_base ${FCGI_LIBRARY})
