# Warnings and hardening for every target of ours.
add_library(oxv_flags INTERFACE)
target_include_directories(oxv_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(oxv_flags INTERFACE _GNU_SOURCE OXV_VERSION="${PROJECT_VERSION}")
target_compile_options(oxv_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wvla -Wstrict-prototypes
  -Wmissing-prototypes -Wswitch-enum -Wcast-qual -Wwrite-strings -Wundef -Wformat=2
  -Wimplicit-fallthrough -Werror
  -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fno-strict-overflow)
target_link_options(oxv_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)

if(OXV_SANITIZE)
  target_compile_options(oxv_flags INTERFACE -fsanitize=address,undefined
    -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_compile_definitions(oxv_flags INTERFACE OXV_SANITIZED=1)
  target_link_options(oxv_flags INTERFACE -fsanitize=address,undefined)
elseif(OXV_THREAD_SANITIZE)
  target_compile_options(oxv_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_compile_definitions(oxv_flags INTERFACE OXV_SANITIZED=1)
  target_link_options(oxv_flags INTERFACE -fsanitize=thread)
else()
  # The layers are small functions in libraries of their own: a fifth of the time of a signature is
  # saved by inlining across them. Fat objects keep the installed static library usable by all.
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT OXV_FUZZ)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
    target_compile_options(oxv_flags INTERFACE -ffat-lto-objects)
  endif()
  # Debian's compilers may predefine another level.
  target_compile_options(oxv_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(OXV_FUZZ)
  target_compile_options(oxv_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(OXV_TEST_HOOKS)
  target_compile_definitions(oxv_flags INTERFACE OXV_TEST_HOOKS=1)
endif()

function(oxv_program name)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_options(${name} PRIVATE -pie)
endfunction()
