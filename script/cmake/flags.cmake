# Warnings, hardening and sanitizers, carried by the interface target berth_flags.
add_library(berth_flags INTERFACE)
target_include_directories(berth_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(berth_flags INTERFACE _GNU_SOURCE BERTH_VERSION="${PROJECT_VERSION}")
target_compile_options(berth_flags INTERFACE
    -Wall -Wextra -Wpedantic -Werror -Wshadow -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wundef -Wnull-dereference -Wno-overlength-strings
    -Wno-unused-command-line-argument
    -fno-common -fstack-protector-strong -fPIE)
target_link_options(berth_flags INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)

set(BERTH_SANITIZE "" CACHE STRING "address (with undefined), thread, or empty")
option(BERTH_COVERAGE "Instrument for coverage" OFF)
if(BERTH_SANITIZE STREQUAL "address")
    target_compile_options(berth_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(berth_flags INTERFACE -fsanitize=address,undefined)
    target_compile_definitions(berth_flags INTERFACE BERTH_ARENA_ITEMS)
elseif(BERTH_SANITIZE STREQUAL "thread")
    target_compile_options(berth_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
    target_link_options(berth_flags INTERFACE -fsanitize=thread)
elseif(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    target_compile_definitions(berth_flags INTERFACE _FORTIFY_SOURCE=2)
endif()
if(BERTH_COVERAGE)
    target_compile_options(berth_flags INTERFACE --coverage)
    target_link_options(berth_flags INTERFACE --coverage)
endif()
