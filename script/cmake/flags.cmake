# Warnings, hardening and sanitizers, carried by the interface target berth_flags.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)

set(BERTH_SANITIZE "" CACHE STRING "address (with undefined), thread, or empty")
option(BERTH_COVERAGE "Instrument for coverage" OFF)
option(BERTH_FUZZ "Build tests/fuzz with libFuzzer, ASan and UBSan (clang only)" OFF)
option(BERTH_VALGRIND "Run the tests under valgrind" OFF)
option(BERTH_TEST_POINTS "Compile in the points at which a test can kill or stop the worker (core/base/test_point.h)" OFF)

add_library(berth_flags INTERFACE)
target_include_directories(berth_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(berth_flags INTERFACE _GNU_SOURCE BERTH_VERSION="${PROJECT_VERSION}")
target_compile_options(berth_flags INTERFACE
    -Wall -Wextra -Wpedantic -Werror -Wshadow -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wundef -Wnull-dereference -Wno-overlength-strings
    -Wno-unused-command-line-argument
    -fno-common -fstack-protector-strong -fPIE)
target_link_options(berth_flags INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)

# A check that only a debug build makes protects nobody: assert stays in every build.
foreach(kind RELEASE RELWITHDEBINFO MINSIZEREL)
    string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${kind} "${CMAKE_C_FLAGS_${kind}}")
endforeach()

check_c_compiler_flag("-Werror -fstack-clash-protection" BERTH_HAS_STACK_CLASH)
if(BERTH_HAS_STACK_CLASH)
    target_compile_options(berth_flags INTERFACE -fstack-clash-protection)
endif()
check_c_compiler_flag("-Werror -fcf-protection=full" BERTH_HAS_CF_PROTECTION) # x86
if(BERTH_HAS_CF_PROTECTION)
    target_compile_options(berth_flags INTERFACE -fcf-protection=full)
endif()

if(BERTH_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "BERTH_FUZZ needs libFuzzer: configure with -DCMAKE_C_COMPILER=clang")
    endif()
    set(BERTH_SANITIZE address)
    target_compile_options(berth_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(BERTH_SANITIZE STREQUAL "address")
    target_compile_options(berth_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(berth_flags INTERFACE -fsanitize=address,undefined)
elseif(BERTH_SANITIZE STREQUAL "thread")
    target_compile_options(berth_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
    target_link_options(berth_flags INTERFACE -fsanitize=thread)
elseif(BERTH_SANITIZE)
    message(FATAL_ERROR "BERTH_SANITIZE is address, thread or empty, not ${BERTH_SANITIZE}")
elseif(CMAKE_BUILD_TYPE MATCHES "^(Release|RelWithDebInfo|MinSizeRel)$")
    # Level 3 also knows sizes that are only known at run time; an old libc warns that it has only 2. Sanitizers replace it.
    set(CMAKE_REQUIRED_FLAGS "-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
    check_c_source_compiles("#include <stdio.h>\nint main(void) { return 0; }" BERTH_HAS_FORTIFY_3)
    unset(CMAKE_REQUIRED_FLAGS)
    target_compile_options(berth_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$<IF:$<BOOL:${BERTH_HAS_FORTIFY_3}>,3,2>)
endif()
if(BERTH_SANITIZE STREQUAL "address" OR BERTH_VALGRIND)
    target_compile_definitions(berth_flags INTERFACE BERTH_ARENA_ITEMS)
endif()
if(BERTH_TEST_POINTS)
    target_compile_definitions(berth_flags INTERFACE BERTH_TEST_POINTS)
endif()
if(BERTH_COVERAGE)
    target_compile_options(berth_flags INTERFACE --coverage)
    target_link_options(berth_flags INTERFACE --coverage)
endif()
